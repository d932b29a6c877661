"""Training curve of a stage, read from its ledger: each step once, by the attempt whose work is in the model."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from cortex.runs.events import Event
from cortex.runs.trainer_events import RESERVED
from cortex.tracking.samples import Split, samples_name

VALIDATION = "validation/"
"""Prefix of the name of each validation metric."""


@dataclass(frozen=True)
class Point:
    """The figures of one step."""

    step: int
    time: float
    """Seconds since 1970."""
    values: dict[str, float]
    samples: str | None = None
    """File of the answers sampled for this point, if any were stored. Of several points of a step, only the first of
    training and the first of validation name one, so that no answer is shown twice."""


def curve(events: Iterable[Event], stage: str) -> list[Point]:
    """The points of a stage, in the order of their steps; several of one step in the order of measuring.

    An attempt that resumed from a checkpoint replaces what came after that step; one that resumed from none, all.
    `events` are in the order of a ledger's reader.
    """
    points: list[Point] = []
    epochs: set[int] = set()
    """Of the stage's attempts."""
    started: set[int] = set()
    """Attempts of the stage whose trainer has begun."""
    resumed: dict[int, int] = {}
    for event in events:
        kind, epoch = event["event"], event["epoch"]
        if kind == "stage_started" and event["stage"] == stage:
            epochs.add(epoch)
        elif kind == "resumed" and event.get("stage") == stage:
            resumed[epoch] = _step_of(str(event.get("checkpoint")))
        elif epoch in epochs and (found := _figures(event, stage)):
            if epoch not in started:
                started.add(epoch)
                points = [earlier for earlier in points if earlier.step <= resumed.get(epoch, 0)]
            points.append(next_point(points, *found))
    return points


def next_point(before: Sequence[Point], split: Split, step: int, time: float, values: dict[str, float]) -> Point:
    """The point of new metrics, measured after those of the points `before`, which are in order."""
    name = samples_name(split, step)
    if split == "validation":
        values = {f"{VALIDATION}{figure}": value for figure, value in values.items()}
    same_step = takewhile(lambda point: point.step == step, reversed(before))
    return Point(step, time, values, None if any(point.samples == name for point in same_step) else name)


def up_to(points: Iterable[Point], step: int) -> list[Point]:
    """The points that a training resumed from `step` does not measure again."""
    return [point for point in points if point.step <= step]


def _figures(event: Event, stage: str) -> tuple[Split, int, float, dict[str, float]] | None:
    """The split, step, time and metrics of a ledger entry; None for entries without metrics."""
    if event["event"] == "progress":
        values = {name: float(value) for name, value in event.items() if name not in RESERVED}
        return "train", event["step"], event["time"], values
    if event["event"] == "validated" and event["stage"] == stage:
        return "validation", event["step"], event["time"], event["values"]
    return None


def _step_of(checkpoint: str) -> int:
    digits = checkpoint.removeprefix("checkpoint-")
    return int(digits) if digits.isdecimal() else 0
