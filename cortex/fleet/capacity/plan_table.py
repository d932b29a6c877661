"""A capacity plan as a table for the terminal, and as JSON."""

from typing import Any

from rich.table import Table

from cortex.console import Console
from cortex.fleet.capacity.capacity_plan import CapacityPlan
from cortex.fleet.capacity.phase import CLOSED, TRACED, UNTRACEABLE, Phase
from cortex.fleet.capacity.sheets import GIB

UNRUN = (
    "no phase of it has been measured on a GPU yet; a finished run's own figures are better: `cortex estimate --like`"
)

NO_PRICE = "-"
"""Shown where the dollars are unknown."""

_BASES = {
    TRACED: "steps traced on fake tensors by PyTorch's simulators",
    CLOSED: "steps by closed forms, within some 15%: `--trace` makes the environment to trace them in",
    UNTRACEABLE: "steps by closed forms, which nothing was compared with",
}


def print_capacity(plan: CapacityPlan, console: Console) -> None:
    """Print one screen: a line a phase, the assumptions, and the phases that do not fit."""
    hardware, architecture = plan.profile.hardware, plan.architecture
    several = f"{hardware.nodes} machines of " if hardware.nodes > 1 else ""
    console.print(
        f"{plan.profile.name}: {architecture.parameters / 1e9:.1f}B parameters, {architecture.layers} layers, on "
        f"{several}{hardware.gpus} x {plan.sheet.name} ({plan.sheet.memory:.1f} GiB each)",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("stage", "phase"):
        table.add_column(heading, no_wrap=True)
    for heading in ("GPU\nGiB", "GPUs", "host\nGiB", "disk\nGiB", "moved\nGB", "each", "in all", "$"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("by", no_wrap=True)
    before = ""
    for phase in plan.phases:
        table.add_row(phase.stage if phase.stage != before else "", *_cells(plan, phase))
        before = phase.stage
    console.print(table)
    if hardware.nodes > 1:
        console.print("host, disk: of each machine; moved: into it, or by all others into each GPU", soft_wrap=True)
    seconds = sum(phase.seconds for phase in plan.phases)
    console.print(
        f"in all {seconds / 3600:.1f} h{_total(plan)}, without waiting, preemptions, labels and release; "
        f"a start of the training machine takes {plan.restart_seconds / 60:.0f} min",
        soft_wrap=True,
    )
    for why, stages in _priceless(plan):
        console.print(f"no dollars for {', '.join(stages)} ({NO_PRICE}): {why}", soft_wrap=True)
    for note in plan.notes:
        console.print(note, soft_wrap=True)
    console.print(f"{_BASES[plan.basis]}; the rest by closed forms; {UNRUN}", soft_wrap=True)
    for misfit in plan.misfits:
        console.print(f"DOES NOT FIT: {misfit}", soft_wrap=True, style="red")


def _total(plan: CapacityPlan) -> str:
    """The total dollars of all phases that have a price, in words."""
    known = [dollars for phase in plan.phases if (dollars := plan.dollars(phase)) is not None]
    if not known:
        return ", dollars unknown"
    return f", ${sum(known):,.2f}" + ("" if len(known) == len(plan.phases) else f" and what {NO_PRICE} stands for")


def _priceless(plan: CapacityPlan) -> list[tuple[str, list[str]]]:
    """Each reason why there are no dollars, with its stages."""
    reasons: dict[str, list[str]] = {}
    for stage in dict.fromkeys(phase.stage for phase in plan.phases):
        if stage not in plan.prices.dollars:
            reasons.setdefault(plan.prices.faults.get(stage, "no task of the pipeline runs it"), []).append(stage)
    return list(reasons.items())


def capacity_json(plan: CapacityPlan) -> dict[str, Any]:
    """The plan as JSON, in bytes, seconds and dollars."""
    return {
        "profile": plan.profile.name,
        "accelerator": plan.sheet.name,
        "gpu_bytes": plan.sheet.bytes,
        "parameters": plan.architecture.parameters,
        "basis": plan.basis,
        "machines": plan.profile.hardware.nodes,
        "notes": list(plan.notes),
        "no_dollars": {stage: why for why, stages in _priceless(plan) for stage in stages},
        "step_seconds": dict(plan.step_seconds),
        "save_seconds": plan.save_seconds,
        "restart_seconds": plan.restart_seconds,
        "phases": [
            {
                "stage": phase.stage,
                "phase": phase.name,
                "basis": phase.basis,
                "gpus": phase.gpus,
                "gpu_bytes": phase.gpu,
                "fits": phase.over <= 0,
                "host_bytes": phase.host,
                "disk_bytes": phase.disk,
                "moved_bytes": phase.moved,
                "between_machines_bytes": phase.crossed,
                "times": phase.times,
                "seconds": phase.seconds,
                "dollars": plan.dollars(phase),
            }
            for phase in plan.phases
        ],
        "misfits": [
            {"stage": misfit.phase.stage, "phase": misfit.phase.name, "over_bytes": misfit.phase.over,
             "changes": dict(misfit.changes)}
            for misfit in plan.misfits
        ],
    }  # fmt: skip


def _cells(plan: CapacityPlan, phase: Phase) -> list[str]:
    dollars = plan.dollars(phase)
    return [
        phase.name,
        f"{phase.gpu / GIB:.1f}" if phase.gpu else "",
        str(phase.gpus),
        f"{phase.host / GIB:.0f}" if phase.host else "",
        f"{phase.disk / GIB:.1f}" if phase.disk else "",
        f"{phase.moved / 1e9:,.0f}" if phase.moved else "",
        f"{phase.times:,} x {_time(phase.each)}" if phase.times > 1 else "",
        _time(phase.seconds),
        NO_PRICE if dollars is None else f"{dollars:,.2f}",
        phase.basis,
    ]


def _time(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.1f} s"
