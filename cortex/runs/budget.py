"""What a run has cost, and what it may cost: computed from its ledger's events alone.

A machine costs from its launch, where its cloud says when that was, to its last sign of life. What comes after that,
until the cloud has really taken it away, no entry can tell: at most the minute between two signs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cortex.errors import BudgetError
from cortex.runs.ledger import Event

WARN = 0.8
"""The share of a budget whose spending is warned of."""


@dataclass(frozen=True)
class Charge:
    """What one machine cost a run. Times are in seconds since 1970."""

    machine: str
    cloud: str | None
    region: str | None
    zone: str | None
    instance_type: str | None
    accelerators: str | None
    spot: bool
    dollars_per_hour: float
    since: float
    until: float
    """Its last sign of life."""
    seconds: float
    """All that is paid for: overlapping attempts count once, and the time between two attempts of a machine that says
    when it was launched counts, too."""
    open: bool
    """Whether nothing has said that its work ended: it is at work, or was killed."""

    @property
    def dollars(self) -> float:
        return self.seconds / 3600 * self.dollars_per_hour

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "dollars": round(self.dollars, 6)}


@dataclass
class _Attempt:
    """A program's time on a machine, from one `machine_started` on."""

    started: Event
    since: float
    until: float
    ended: bool = False


def charges(events: Iterable[Event]) -> tuple[Charge, ...]:
    """What each machine cost, in the order in which they began. Events may be doubled, and come in any order.

    An attempt is known by its machine and its beginning, which each `machine_...` event names. It lasts until the
    latest event of any epoch that it wrote under: one that was killed without an end, until its last sign of life. Of
    two prices of a machine the one entered last holds for all its time.
    """
    known = sorted(events, key=lambda event: event["time"])
    attempts: dict[tuple[str, float], _Attempt] = {}
    by_epoch: dict[int, _Attempt] = {}
    for event in known:
        match event:
            case {"event": "machine_started" | "machine_alive" | "machine_ended" as kind, "machine": str() as machine}:
                key = machine, float(event["since"])
                if kind == "machine_started" and key not in attempts:
                    attempts[key] = _Attempt(event, key[1], key[1])
                if attempt := attempts.get(key):
                    by_epoch[event["epoch"]] = attempt
                    attempt.until = max(attempt.until, event.get("until", event["time"]))
                    attempt.ended = attempt.ended or kind == "machine_ended"
            case _:
                pass
    for event in known:
        if attempt := by_epoch.get(event["epoch"]):
            attempt.until = max(attempt.until, event["time"])
    machines: dict[str, list[_Attempt]] = {}
    for attempt in attempts.values():
        machines.setdefault(attempt.started["machine"], []).append(attempt)
    return tuple(sorted((_charge(each) for each in machines.values()), key=lambda charge: charge.since))


def spent(events: Iterable[Event]) -> float:
    """The dollars that a run has cost: several machines at once add up."""
    return sum(charge.dollars for charge in charges(events))


def cap(events: Iterable[Event], budget: float) -> float:
    """What the run may cost: the profile's `budget`, or what it was last raised to. 0 sets no limit."""
    raised = [event for event in events if event["event"] == "budget_raised"]
    return float(max(raised, key=lambda event: event["time"])["dollars"]) if raised else budget


def over_budget(run: str, dollars: float, limit: float) -> BudgetError:
    """The error of a run at its cap."""
    return BudgetError(
        f"run {run} has spent ${dollars:.2f} of its budget of ${limit:.2f}: what it has made is kept; go on with it by "
        f"`cortex resume {run} --budget DOLLARS`"
    )


def _charge(attempts: Sequence[_Attempt]) -> Charge:
    newest = max(attempts, key=lambda attempt: attempt.started["time"])
    told = newest.started
    return Charge(
        machine=told["machine"],
        **{name: told.get(name) for name in ("cloud", "region", "zone", "instance_type", "accelerators")},
        spot=bool(told.get("spot")),
        dollars_per_hour=told["dollars_per_hour"],
        since=min(attempt.since for attempt in attempts),
        until=max(attempt.until for attempt in attempts),
        seconds=_covered((attempt.since, attempt.until) for attempt in attempts),
        open=not newest.ended,
    )


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """The seconds that lie in any of the spans."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
