"""The time that a stage's steps take, measured from the ledger."""

import statistics
from collections import defaultdict
from collections.abc import Iterable

from cortex.runs.events import Event


def step_seconds(events: Iterable[Event]) -> dict[str, float]:
    """Median seconds per step, by stage, from pairs of reports of one attempt, so that no restart is included."""
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
