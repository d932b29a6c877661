"""A stage's training as one curve, from its ledger: each step once, by the attempt whose work the model holds."""

from collections.abc import Iterable
from dataclasses import dataclass

from cortex.runs.events import Event
from cortex.training.events import RESERVED

VALIDATION = "validation/"
"""What stands before the name of each figure of a validation."""


@dataclass(frozen=True)
class Point:
    """The figures of one step."""

    step: int
    time: float
    """Seconds since 1970."""
    values: dict[str, float]


def curve(events: Iterable[Event], stage: str) -> list[Point]:
    """The points of a stage, in the order of their steps; several of one step in the order of measuring.

    An attempt that resumed from a checkpoint replaces what came after that step; one that resumed from none, all.
    `events` are in the order of a ledger's reader.
    """
    points: list[Point] = []
    epochs: set[int] = set()
    """Of the stage's attempts."""
    started: set[int] = set()
    """Those of them whose trainer has begun."""
    resumed: dict[int, int] = {}
    for event in events:
        kind, epoch = event["event"], event["epoch"]
        if kind == "stage_started" and event["stage"] == stage:
            epochs.add(epoch)
        elif kind == "resumed" and event.get("stage") == stage:
            resumed[epoch] = _step_of(str(event.get("checkpoint")))
        elif epoch in epochs and (point := _point(event, stage)):
            if epoch not in started:
                started.add(epoch)
                points = [earlier for earlier in points if earlier.step <= resumed.get(epoch, 0)]
            points.append(point)
    return points


def up_to(points: Iterable[Point], step: int) -> list[Point]:
    """The points that a training which goes on from `step` does not measure again."""
    return [point for point in points if point.step <= step]


def validation_values(values: dict[str, float]) -> dict[str, float]:
    """A validation's figures by the names that trackers show."""
    return {f"{VALIDATION}{name}": value for name, value in values.items()}


def _point(event: Event, stage: str) -> Point | None:
    if event["event"] == "progress":
        values = {name: float(value) for name, value in event.items() if name not in RESERVED}
        return Point(event["step"], event["time"], values)
    if event["event"] == "validated" and event["stage"] == stage:
        return Point(event["step"], event["time"], validation_values(event["values"]))
    return None


def _step_of(checkpoint: str) -> int:
    digits = checkpoint.removeprefix("checkpoint-")
    return int(digits) if digits.isdecimal() else 0
