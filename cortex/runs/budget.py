"""A run's cost and its cap, computed from its ledger's events alone.

A machine costs from its launch, if its cloud says when that was, to its last sign of life. If `cortex watch` has asked
the cloud, it costs until the cloud took it away, even if `cortex run` never began on it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cortex.errors import BudgetError
from cortex.runs.events import CLOUDS_WORD, Event, order

WARN = 0.8
"""The share of a budget at which spending is warned of."""

SIGNS = ("machine_started", "machine_alive", "machine_ended")

PLAUSIBLE = 6 * 3600.0
"""Most seconds that an event may be later than the last sign of life. A bucket's outage or signs that a reader left out
explain a few hours; a clock that is set jumps by days, or by years."""


@dataclass(frozen=True)
class Charge:
    """One machine's cost to a run. Times are in seconds since 1970."""

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
    """The machine's last sign of life, or its end, if the cloud said when that was."""
    seconds: float
    """The paid time. Overlapping attempts count once. If the machine's launch is known, the time between two of its
    attempts counts, too."""
    open: bool
    """True if no event says that its work ended: it is at work, or was killed."""
    reached: bool = True
    """True if `cortex run` began on it; if not, it is known from the cloud alone."""
    gone: bool = False
    """True if the cloud said that the machine is gone; then `until` is that time, and not a sign of life."""

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
    counted: bool = False
    """True if a sign of life gave the seconds that it had cost, by a steady clock."""
    ahead: float = 0.0
    """Seconds that its events' times are ahead of `since` and `until`, which may use its cloud's clock."""

    def add_sign(self, sign: Event) -> None:
        """Add one of its `machine_...` events."""
        until = sign.get("until", sign["time"])
        if "seconds" in sign:
            self.until = max(self.until, self.since + sign["seconds"])
            self.counted = True
        else:
            self.extend_to(until)
        self.ahead = sign["time"] - until
        self.ended = self.ended or sign["event"] == "machine_ended"

    def extend_to(self, moment: float) -> None:
        """Extend the attempt to a time at which it was alive, if that is plausible."""
        if moment - self.until <= PLAUSIBLE:
            self.until = max(self.until, moment)


def charges(events: Iterable[Event]) -> tuple[Charge, ...]:
    """Each machine's charge, in the order of their beginnings. Events may occur twice, and in any order.

    An attempt is identified by its machine and its beginning, which each `machine_...` event names. Signs of life give
    the seconds that it has cost, by a steady clock. If they give none, the attempt lasts until their time, or that of
    other events of its epoch, except those later than `PLAUSIBLE` allows, whose clock was set. The time for which the
    cloud reported a machine is added; overlaps count once. If events give two prices of a machine, the one of the
    latest epoch holds for all its time; a price of the machine's own events precedes the cloud's.
    """
    known = sorted(events, key=order)
    attempts: dict[tuple[str, float | None], _Attempt] = {}
    by_epoch: dict[int, _Attempt] = {}
    for event in known:
        if event["event"] == "machine_started":
            machine, since = event["machine"], float(event["since"])
            attempts.setdefault((machine, since), _Attempt(event, since, since))
    for event in known:
        if event["event"] in SIGNS and (attempt := attempts.get((event["machine"], event.get("since")))):
            by_epoch[event["epoch"]] = attempt
            attempt.add_sign(event)
    for event in known:
        attempt = None if event["event"] in {*SIGNS, *CLOUDS_WORD} else by_epoch.get(event["epoch"])
        # Signs that count seconds take precedence: an event may be dated by the bucket's clock, a sign by its writer's.
        if attempt and not attempt.counted:
            attempt.extend_to(event["time"] - attempt.ahead)
    machines: dict[str, list[_Attempt]] = {}
    for attempt in (*attempts.values(), *(_cloud_attempt(event) for event in known if event["event"] in CLOUDS_WORD)):
        machines.setdefault(attempt.started["machine"], []).append(attempt)
    return tuple(sorted((_make_charge(each) for each in machines.values()), key=lambda charge: charge.since))


def spent(events: Iterable[Event]) -> float:
    """The dollars that a run has cost; machines that run at the same time add up."""
    return sum(charge.dollars for charge in charges(events))


def cap(events: Iterable[Event], budget: float) -> float:
    """The dollars that a run may cost: the profile's `budget`, or the last raised one. 0 sets no limit."""
    raised = [event for event in events if event["event"] == "budget_raised"]
    return float(max(raised, key=order)["dollars"]) if raised else budget


def duration_cap(events: Iterable[Event], hours: float) -> float:
    """The hours that a run may take: the profile's `max_duration`, or the last raised one. 0 sets no limit."""
    raised = [event for event in events if event["event"] == "max_duration_raised"]
    return float(max(raised, key=order)["hours"]) if raised else hours


def launched_at(events: Iterable[Event]) -> float | None:
    """The time of a run's first launch, in seconds since 1970; None if it was not launched."""
    return min((event["time"] for event in events if event["event"] == "launching"), default=None)


def over_time(run: str, hours: float) -> BudgetError:
    """The error of a run that has reached its `max_duration`."""
    return BudgetError(
        f"run {run} was launched {hours:g} hours ago, which is its max_duration: what it has made is kept; go on with "
        f"it by `cortex resume {run} --max-duration HOURS`"
    )


def over_budget(run: str, dollars: float, limit: float) -> BudgetError:
    """The error of a run at its cap."""
    return BudgetError(
        f"run {run} has spent ${dollars:.2f} of its budget of ${limit:.2f}: what it has made is kept; go on with it by "
        f"`cortex resume {run} --budget DOLLARS`"
    )


def _cloud_attempt(event: Event) -> _Attempt:
    """The time for which a cloud reported a machine, as an attempt."""
    since, until = float(event["since"]), float(event["until"])
    return _Attempt(event, since, max(since, until), ended=event["event"] == "machine_gone")


def _make_charge(attempts: Sequence[_Attempt]) -> Charge:
    own = [attempt for attempt in attempts if attempt.started["event"] not in CLOUDS_WORD]
    newest = max(own or attempts, key=lambda attempt: order(attempt.started))
    told, gone = newest.started, any(attempt.started["event"] == "machine_gone" for attempt in attempts)
    return Charge(
        machine=told["machine"],
        **{name: told.get(name) for name in ("cloud", "region", "zone", "instance_type", "accelerators")},
        spot=bool(told.get("spot")),
        dollars_per_hour=told["dollars_per_hour"],
        since=min(attempt.since for attempt in attempts),
        until=max(attempt.until for attempt in attempts),
        seconds=_covered_seconds((attempt.since, attempt.until) for attempt in attempts),
        open=not newest.ended and not gone,
        reached=bool(own),
        gone=gone,
    )


def _covered_seconds(spans: Iterable[tuple[float, float]]) -> float:
    """The seconds that lie in any of the spans."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
