"""How long a profile's work takes: measured in a run that was, or else as the profile estimates it."""

import statistics
from collections import defaultdict
from dataclasses import dataclass, field

from cortex.artifacts.store import Store
from cortex.errors import DataError, UsageError
from cortex.runs.ledger import Event, LedgerReader
from cortex.runs.profile import Profile
from cortex.runs.stages import models


@dataclass(frozen=True)
class Estimate:
    """What a forecast takes for given. Seconds."""

    work: float
    """Of one machine, for the whole run."""
    restart: float
    """From the asking for a machine to its first step."""
    save: float
    """For which training stands still at a checkpoint."""
    basis: str
    """Where the work's seconds are from, for whoever reads the forecast."""
    intervals: dict[str, float] = field(default_factory=dict[str, float])
    """Per training stage whose step time is known: seconds between the profile's checkpoints."""


def estimated(profile: Profile) -> Estimate:
    """What the profile says, in `estimates`.

    Raises:
        UsageError: it does not say how long a step of one of its stages takes.
    """
    steps = {stage: getattr(profile.estimates, stage) for stage in models(profile)}
    missing = [stage for stage, seconds in steps.items() if seconds is None]
    if missing:
        raise UsageError(
            f"profile {profile.name} does not say how long a step of {' and '.join(missing)} takes: give --work HOURS, "
            f"or --like a run, or add `estimates: {{{missing[0]}: SECONDS}}` to the profile"
        )
    return _from_steps(profile, steps, profile.estimates.other_hours * 3600, "estimated in the profile")


def given(profile: Profile, hours: float) -> Estimate:
    """So many hours of work; everything else as the profile estimates it."""
    steps = {stage: getattr(profile.estimates, stage) for stage in models(profile)}
    known = {stage: seconds for stage, seconds in steps.items() if seconds is not None}
    spared = _from_steps(profile, known, 0.0, "")
    return Estimate(hours * 3600, spared.restart, spared.save, "given", spared.intervals)


def measured(profile: Profile, store: Store, run: str) -> Estimate:
    """What a run's ledger says: the median time of a step of each training stage, the seconds of each other stage.

    The steps are counted as this profile has them; a stage that the run has not finished counts as much as it ran.

    Raises:
        DataError: the ledger has no steps of one of the profile's training stages.
    """
    events = LedgerReader(store, run).new_events()
    if not events:
        raise DataError(f"{store.url}: run {run!r} has no ledger: name a run that has trained, or give --work HOURS")
    steps, others = _step_seconds(events), _other_seconds(events)
    trained = models(profile)
    missing = [stage for stage in trained if stage not in steps]
    if missing:
        raise DataError(
            f"{store.url}: the ledger of run {run!r} has too few steps of {' and '.join(missing)} to tell how long one "
            "takes: name a run that has trained longer, or give --work HOURS"
        )
    other = sum(seconds for stage, seconds in others.items() if stage not in trained)
    return _from_steps(profile, {stage: steps[stage] for stage in trained}, other, f"measured in run {run}")


def _from_steps(profile: Profile, steps: dict[str, float], other: float, basis: str) -> Estimate:
    sections = {stage: getattr(profile, stage) for stage in steps}
    return Estimate(
        work=other + sum(seconds * sections[stage].max_steps for stage, seconds in steps.items()),
        restart=profile.estimates.restart_minutes * 60,
        save=profile.estimates.save_seconds,
        basis=basis,
        intervals={stage: seconds * sections[stage].save_steps for stage, seconds in steps.items()},
    )


def _step_seconds(events: list[Event]) -> dict[str, float]:
    """Median seconds a step, by stage; from pairs of reports of one attempt, so that no restart is in it."""
    stage_of: dict[int, str] = {}
    last: dict[int, Event] = {}
    found: defaultdict[str, list[float]] = defaultdict(list)
    for event in events:
        epoch = event["epoch"]
        if event["event"] == "stage_started":
            stage_of[epoch] = event["stage"]
        elif event["event"] == "progress" and epoch in stage_of:
            before = last.get(epoch)
            if before and event["step"] > before["step"]:
                taken = (event["time"] - before["time"]) / (event["step"] - before["step"])
                found[stage_of[epoch]].append(taken)
            last[epoch] = event
    return {stage: statistics.median(taken) for stage, taken in found.items()}


def _other_seconds(events: list[Event]) -> dict[str, float]:
    """Seconds of each stage, of its longest attempt that ended."""
    stage_of: dict[int, str] = {}
    found: dict[str, float] = {}
    for event in events:
        if event["event"] == "stage_started":
            stage_of[event["epoch"]] = event["stage"]
        elif event["event"] in ("stage_finished", "stage_failed") and event["epoch"] in stage_of:
            stage = stage_of[event["epoch"]]
            found[stage] = max(found.get(stage, 0.0), event.get("seconds", 0.0))
    return found
