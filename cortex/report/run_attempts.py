"""The attempts of a run's stages, from its ledger: how long each took, what it cost, where it stopped and went on."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from cortex.errors import PreemptedError
from cortex.runs.events import Event

End = Literal["done", "preempted", "killed", "failed", "open"]
"""The end of an attempt; `killed`: it reported none, and another followed; `open`: it reported none so far."""


@dataclass(frozen=True)
class Attempt:
    """One program's work at a stage."""

    stage: str
    epoch: int
    seconds: float
    """From its beginning to its last event, by its machine's clock."""
    dollars: float
    """Cost of those seconds, by the price of its machine."""
    end: End
    last_step: int
    """The last step that it reported; 0 if it reported none."""
    resumed: int
    """The step that it went on from; 0 where it began anew."""


@dataclass(frozen=True)
class Break:
    """An interruption of a training that another attempt went on from."""

    last_step: int
    """The last step of the attempt that was interrupted."""
    resumed: int
    """The step from which the next attempt went on."""
    end: End

    @property
    def repeated(self) -> int:
        """Steps that were made again."""
        return max(0, self.last_step - self.resumed)


def attempts(events: Iterable[Event]) -> list[Attempt]:
    """All attempts of a run, in the order of their epochs."""
    by_epoch: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        by_epoch[event["epoch"]].append(event)
    found: list[Attempt] = []
    for epoch in sorted(by_epoch):
        own = by_epoch[epoch]
        started = [at for at, event in enumerate(own) if event["event"] == "stage_started"]
        rates = [event["dollars_per_hour"] for event in own if event["event"] == "machine_started"]
        # A program takes an epoch for each stage; should one hold several, each ends where the next begins.
        for at, after in zip(started, [*started[1:], len(own)], strict=True):
            found.append(_attempt(own[at], own[at:after], rates[-1] if rates else 0.0))
    return [_with_end(attempt, found[at + 1 :]) for at, attempt in enumerate(found)]


def breaks(found: Sequence[Attempt], stage: str) -> list[Break]:
    """The interruptions of a stage that later attempts went on from, in their order."""
    own = [attempt for attempt in found if attempt.stage == stage]
    return [Break(before.last_step, after.resumed, before.end) for before, after in pairwise(own)]


def _attempt(started: Event, events: Sequence[Event], rate: float) -> Attempt:
    stage = str(started["stage"])
    ends = [event for event in events if event["event"] in ("stage_finished", "stage_failed")]
    last = ends[0]["time"] if ends else max(event["time"] for event in events)
    seconds = max(0.0, last - started["time"])
    steps = [int(event["step"]) for event in events if event["event"] == "progress"]
    resumed = [str(event.get("checkpoint")) for event in events if event["event"] == "resumed"]
    digits = resumed[-1].removeprefix("checkpoint-") if resumed else ""
    return Attempt(
        stage,
        int(started["epoch"]),
        seconds,
        seconds / 3600 * rate,
        _end(ends[0]) if ends else "open",
        max(steps, default=0),
        int(digits) if digits.isdecimal() else 0,
    )


def _end(event: Event) -> End:
    if event["event"] == "stage_finished":
        return "done"
    # A stage that hangs leaves with the same code: the reason tells them apart.
    reason = str(event.get("reason"))
    is_preempted = event.get("code") == PreemptedError.exit_code and reason.startswith(PreemptedError.__name__)
    return "preempted" if is_preempted else "failed"


def _with_end(attempt: Attempt, later: Sequence[Attempt]) -> Attempt:
    is_followed = any(other.stage == attempt.stage for other in later)
    if attempt.end == "open" and is_followed:
        return Attempt(**{**vars(attempt), "end": "killed"})
    return attempt
