"""Duration of a profile's work: measured in a finished run, else from the profile, else from its capacity plan."""

from dataclasses import dataclass, field

from cortex.artifacts.store import Store
from cortex.errors import CortexError, DataError, UsageError
from cortex.fleet.capacity.capacity_plan import plan_capacity
from cortex.profiles.profile import Profile
from cortex.profiles.profile_sections import Estimates
from cortex.runs.ledger import Event, LedgerReader
from cortex.runs.pace import step_seconds
from cortex.runs.stage_list import trainings
from cortex.settings import Settings

RESTART, SAVE = 600.0, 30.0
"""Seconds of a start and of a checkpoint, where neither the profile nor a plan has them."""

OTHERS = ("label", "export", "evaluate")
"""The stages that a profile's `other_hours` are divided among, evenly."""


@dataclass(frozen=True)
class WorkEstimate:
    """The durations that a run's hours and dollars are computed from, in seconds."""

    work: float
    """Work of the whole run on one machine."""
    restart: float
    """Time from the request for a machine to its first step."""
    save: float
    """Time for which a checkpoint pauses training."""
    basis: str
    """Source of the work's seconds, in words."""
    intervals: dict[str, float] = field(default_factory=dict[str, float])
    """Work between the profile's checkpoints, by training stage whose step time is known."""
    interval: float = 0.0
    """Average of `intervals`, weighted by work, so that a short stage that saves often does not count for all. 0 where
    no step time is known."""
    stages: dict[str, float] = field(default_factory=dict[str, float])
    """Time of each stage on its own machine, its saves included; stages of a few seconds are left out."""


def estimate_profile(profile: Profile) -> WorkEstimate:
    """The estimate from the profile's `estimates`, completed by its capacity plan.

    Raises:
        UsageError: neither has the duration of a step of one of its stages.
    """
    times, others, basis = _times(profile)
    steps = {stage: getattr(times, stage) for stage in trainings(profile)}
    missing = [stage for stage, seconds in steps.items() if seconds is None]
    if missing:
        raise UsageError(
            f"how long a step of {' and '.join(missing)} takes is not known ({basis}): give --work HOURS, or --like a "
            f"run, or add `estimates: {{{missing[0]}: SECONDS}}` to profile {profile.name}"
        )
    return _from_steps(profile, times, steps, (times.other_hours or 0.0) * 3600, others, basis)


def estimate_from_hours(profile: Profile, hours: float) -> WorkEstimate:
    """The estimate with `hours` of work; everything else is from the profile or its plan."""
    times, _, _ = _times(profile)
    steps = {stage: seconds for stage in trainings(profile) if (seconds := getattr(times, stage)) is not None}
    spared = _from_steps(profile, times, steps, 0.0, {}, "")
    return WorkEstimate(hours * 3600, spared.restart, spared.save, "given", spared.intervals, spared.interval)


def estimate_from_run(profile: Profile, store: Store, run: str) -> WorkEstimate:
    """The estimate from a run's ledger: median step times of its training stages, and durations of its other stages.

    The number of steps is this profile's; another stage that the run has not finished counts for the time that it ran.

    Raises:
        DataError: the ledger has no steps of one of the profile's training stages.
    """
    events = LedgerReader(store, run).new_events()
    if not events:
        raise DataError(f"{store.url}: run {run!r} has no ledger: name a run that has trained, or give --work HOURS")
    steps, others = step_seconds(events), _other_seconds(events)
    trained = trainings(profile)
    missing = [stage for stage in trained if stage not in steps]
    if missing:
        raise DataError(
            f"{store.url}: the ledger of run {run!r} has too few steps of {' and '.join(missing)} to tell how long one "
            "takes: name a run that has trained longer, or give --work HOURS"
        )
    apart = {stage: seconds for stage, seconds in others.items() if stage not in trained}
    times, _, _ = _times(profile)
    known = {stage: steps[stage] for stage in trained}
    return _from_steps(profile, times, known, sum(apart.values()), apart, f"measured in run {run}")


def _times(profile: Profile) -> tuple[Estimates, dict[str, float], str]:
    """The profile's estimates, completed by its plan; seconds of other work by stage; and the source, in words."""
    own = profile.estimates
    evenly = {stage: (own.other_hours or 0.0) * 3600 / len(OTHERS) for stage in OTHERS}
    wanted = (*trainings(profile), "other_hours", "restart_minutes", "save_seconds")
    missing = [name for name in wanted if getattr(own, name) is None]
    if not missing:
        return own, evenly, "estimated in the profile"
    try:
        # Only earlier traces are used, since tracing is slow, and estimates are made more often than profiles change.
        plan = plan_capacity(profile, Settings(), tracing="kept")
    except CortexError as error:
        return own, evenly, f"it cannot be planned: {error}"
    planned: dict[str, float] = {
        **plan.step_seconds,
        "other_hours": plan.other_seconds / 3600,
        "restart_minutes": plan.restart_seconds / 60,
        "save_seconds": plan.save_seconds,
    }
    basis = f"planned, {plan.basis}"
    if len(missing) < len(wanted):
        basis = f"estimated in the profile, the rest {basis}"
    others = evenly if "other_hours" not in missing else plan.seconds_besides_steps
    return own.model_copy(update={name: planned[name] for name in missing}), others, basis


def _from_steps(
    profile: Profile,
    times: Estimates,
    steps: dict[str, float],
    other: float,
    others: dict[str, float],
    basis: str,
) -> WorkEstimate:
    sections = {stage: getattr(profile, stage) for stage in steps}
    save = SAVE if times.save_seconds is None else times.save_seconds
    trained = sum(seconds * sections[stage].max_steps for stage, seconds in steps.items())
    saves = sum(section.max_steps / section.save_steps for section in sections.values())
    return WorkEstimate(
        work=other + trained,
        restart=RESTART if times.restart_minutes is None else times.restart_minutes * 60,
        save=save,
        basis=basis,
        intervals={stage: seconds * sections[stage].save_steps for stage, seconds in steps.items()},
        interval=trained / saves if saves else 0.0,
        stages={
            stage: others.get(stage, 0.0) + _with_saves(profile, steps, stage, save) for stage in (*others, *steps)
        },
    )


def _with_saves(profile: Profile, steps: dict[str, float], stage: str, save: float) -> float:
    """Seconds of a training stage's steps and checkpoints; 0 for other stages."""
    if stage not in steps:
        return 0.0
    section = getattr(profile, stage)
    return section.max_steps * (steps[stage] + save / section.save_steps)


def _other_seconds(events: list[Event]) -> dict[str, float]:
    """Seconds of each stage's longest attempt that ended."""
    stage_of: dict[int, str] = {}
    found: dict[str, float] = {}
    for event in events:
        if event["event"] == "stage_started":
            stage_of[event["epoch"]] = event["stage"]
        elif event["event"] in ("stage_finished", "stage_failed") and event["epoch"] in stage_of:
            stage = stage_of[event["epoch"]]
            found[stage] = max(found.get(stage, 0.0), event.get("seconds", 0.0))
    return found
