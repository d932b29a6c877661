"""A profile's capacity plan: the needs of every phase, the phases that do not fit, and changes that make them fit."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cortex.errors import ConfigError
from cortex.fleet.capacity.architecture import BF16, Architecture, read_architecture
from cortex.fleet.capacity.export_phases import export_phases
from cortex.fleet.capacity.phase import CLOSED, UNTRACEABLE, Phase
from cortex.fleet.capacity.rates import BOOT, DISKS, IMAGE, NETWORK, NODE_LINK, disk_rate
from cortex.fleet.capacity.requests import steps
from cortex.fleet.capacity.sheets import GIB, GpuSheet, gpu_sheet
from cortex.fleet.capacity.stage_prices import StagePrices
from cortex.fleet.capacity.step_cost import StepCost, closed_form
from cortex.fleet.capacity.teacher_cost import teacher_architecture, teacher_cost
from cortex.fleet.capacity.traced import Tracing, UntraceableError, traced_steps
from cortex.fleet.capacity.training_machines import TrainingMachines
from cortex.fleet.capacity.training_phases import TrainingPhases
from cortex.fleet.tasks.run_tasks import stages as stages_of
from cortex.profiles.profile import Profile, with_overrides
from cortex.runs.pipeline import SKY_YAML, read_documents
from cortex.runs.stage_list import LOADING, trainings
from cortex.settings import Settings

Document = Mapping[str, Any]

COUNTED = frozenset({"step", "rollout", "sync", "save", "load"})
"""Phases that are part of an optimizer step, a checkpoint or a start."""


@dataclass(frozen=True)
class Misfit:
    """A phase that needs more memory than its GPUs have, and a change of the profile that makes it fit."""

    phase: Phase
    changes: Mapping[str, Any]
    """New values by key of the profile; empty where no change of a single key is enough."""

    def __str__(self) -> str:
        phase = self.phase
        needs = f"{phase.gpu / GIB:.1f} GiB of the {phase.capacity / GIB:.1f} of each GPU"
        if phase.lacking > 0:
            needs = f"{phase.lacking / GIB:.1f} GiB more than its share of each GPU"
        return f"{phase.stage}, {phase.name}: needs {needs}: {self.fix}"

    @property
    def fix(self) -> str:
        if not self.changes:
            return "no single key of the profile makes it fit: take a GPU with more memory (hardware.accelerator)"
        return "set " + ", and ".join(f"{key} to {value}" for key, value in self.changes.items())


@dataclass(frozen=True)
class CapacityPlan:
    """The needs of a profile's run: of each GPU, the host, the disk, time and money."""

    profile: Profile
    architecture: Architecture
    sheet: GpuSheet
    phases: tuple[Phase, ...]
    misfits: tuple[Misfit, ...]
    step_seconds: Mapping[str, float]
    """Seconds of an optimizer step by training stage, rollouts included."""
    save_seconds: float
    """Seconds for which a checkpoint pauses training, in the slowest stage."""
    restart_seconds: float
    """Seconds from the request for a training machine to its first step."""
    notes: tuple[str, ...] = ()
    """Assumptions that hold for this plan, but not for every profile's."""
    prices: StagePrices = field(default_factory=StagePrices)

    @property
    def basis(self) -> str:
        found = {phase.basis for phase in self.phases if phase.kind == "step"}
        return found.pop() if len(found) == 1 else CLOSED

    @property
    def other_seconds(self) -> float:
        """Seconds of all phases except steps, saves and loads, as training machine seconds: scaled by GPUs in use."""
        trained = self.profile.hardware.processes
        return sum(phase.seconds * phase.gpus / trained for phase in self.phases if phase.kind not in COUNTED)

    @property
    def seconds_besides_steps(self) -> dict[str, float]:
        """The same phases' seconds by stage, unweighted: seconds of the stage's own machine."""
        found: dict[str, float] = {}
        for phase in self.phases:
            if phase.kind not in COUNTED:
                found[phase.stage] = found.get(phase.stage, 0.0) + phase.seconds
        return found

    def dollars(self, phase: Phase) -> float | None:
        """Dollars of a phase, by the hourly price of its stage's machines; None without a price."""
        hour = self.prices.dollars.get(phase.stage)
        return None if hour is None else phase.seconds / 3600 * hour

    def require_fit(self) -> None:
        """Return if every phase fits.

        Raises:
            ConfigError: a phase does not fit; the message names the first one, and the key to change.
        """
        if self.misfits:
            first, *others = self.misfits
            more = f" (and {len(others)} more)" if others else ""
            raise ConfigError(f"{self.profile.name} does not fit on {self.sheet.name}: {first}{more}")


def plan_capacity(
    profile: Profile,
    settings: Settings,
    *,
    documents: Sequence[Document] | None = None,
    environment: Mapping[str, str] = os.environ,
    tracing: Tracing = "here",
    on_start: Callable[[str], None] = lambda words: None,
) -> CapacityPlan:
    """Compute the plan of a profile that trains on GPUs.

    `documents` are the pipeline's tasks (default: `sky.yaml`). The plan has no prices yet.

    Raises:
        ConfigError: the profile trains on a CPU, or its base's shape or its GPU is not known.
        StageError: the environment for tracing cannot be made.
    """
    if profile.hardware.device != "cuda":
        raise ConfigError(f"{profile.name} trains on a CPU: a capacity plan is for profiles with hardware.device cuda")
    config, architecture = read_architecture(profile.model, environment)
    sheet = gpu_sheet(profile.hardware.accelerator)
    wanted = steps(profile)
    costs = {stage: closed_form(step, architecture, sheet) for stage, step in wanted.items()}
    disks = _disks(documents if documents is not None else read_documents(SKY_YAML))
    now = costs
    notes = _notes(profile, architecture)
    if tracing != "never" and profile.hardware.sharding == "fsdp2":  # the only sharding that PyTorch's trackers know
        try:
            costs = costs | traced_steps(wanted, config, architecture, sheet, settings, tracing, on_start=on_start)
        except UntraceableError as error:
            costs = {stage: replace(cost, basis=UNTRACEABLE) for stage, cost in costs.items()}
            notes = (*notes, f"{error}: steps are computed by closed forms")
    teacher = teacher_architecture(profile, environment)
    if teacher:
        notes = (*notes, _about_teacher(profile, teacher))
    training, phases = _phases(profile, architecture, teacher, sheet, costs, disks)

    def mends(changed: Profile, phase: Phase) -> bool:
        """True where the phase fits with the changed profile, and every other phase that fits now still does."""
        there = {stage: closed_form(step, architecture, sheet) for stage, step in steps(changed).items()}
        shifted = {stage: costs[stage].shifted(now[stage], there[stage]) for stage in there}
        _, again = _phases(changed, architecture, teacher, sheet, shifted, disks)
        fitted = {(before.stage, before.name) for before in phases if before is phase or before.over <= 0}
        return not any(after.over > 0 for after in again if (after.stage, after.name) in fitted)

    misfits = tuple(Misfit(phase, _fix(profile, phase, mends)) for phase in phases if phase.over > 0)
    return CapacityPlan(
        profile=profile,
        architecture=architecture,
        sheet=sheet,
        phases=tuple(phases),
        misfits=misfits,
        step_seconds={stage: training.step_seconds(stage) for stage in trainings(profile)},
        save_seconds=max(training.save_seconds(stage) for stage in trainings(profile)),
        restart_seconds=BOOT + IMAGE / NETWORK + max(phase.seconds for phase in phases if phase.name == "load"),
        notes=notes,
    )


def _phases(
    profile: Profile,
    architecture: Architecture,
    teacher: Architecture | None,
    sheet: GpuSheet,
    costs: Mapping[str, StepCost],
    disks: Mapping[str, float],
) -> tuple[TrainingPhases, list[Phase]]:
    wanted = steps(profile)
    taught = teacher_cost(teacher, wanted["distill"], sheet) if teacher else None
    training = TrainingPhases(TrainingMachines(profile, architecture, sheet, wanted, costs, disks, taught))
    return training, [*training.phases(), *export_phases(profile, architecture, sheet, disks)]


def _about_teacher(profile: Profile, teacher: Architecture) -> str:
    assert profile.distill
    return (
        f"{profile.distill.teacher.name}, {BF16 * teacher.parameters / 1e9:.0f} GB in bf16, is sharded over the GPUs "
        "that train; its part of a step is computed by closed forms"
    )


def _notes(profile: Profile, architecture: Architecture) -> tuple[str, ...]:
    found: list[str] = []
    nodes = profile.hardware.nodes
    if nodes > 1:
        found.append(
            f"{nodes} machines train as one, each joined to the others by {8 * NODE_LINK / 1e9:.0f} Gbit/s: an "
            "estimate (docs/plan.md)"
        )
        if profile.hardware.sharding == "zero3":
            found.append("ZeRO-3 is computed as FSDP2 would be")
    if not architecture.counted:
        found.append(
            f"model.base {profile.model.base}: model_type {architecture.family!r} (config.json) is counted as Llama of "
            "these sizes is: its layers are not known here"
        )
    return tuple(found)


def _disks(documents: Sequence[Document]) -> dict[str, float]:
    found = {stage: disk_rate(document) for document in documents for stage in stages_of(document, SKY_YAML)}
    return dict.fromkeys(LOADING, DISKS["medium"]) | found


def _fix(profile: Profile, phase: Phase, mends: Callable[[Profile, Phase], bool]) -> dict[str, Any]:
    """The first change of a knob, in the knobs' order, that makes a phase fit; empty where none does."""
    for knob in phase.knobs:
        for value in knob.values:
            changes = {knob.key: value, **(knob.change(profile, value) if knob.change else {})}
            try:
                changed = with_overrides(profile, changes)
            except ConfigError:
                continue  # the profile's own rules forbid it
            if mends(changed, phase):
                return changes
    return {}
