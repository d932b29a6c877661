"""What a run has cost, and what it may cost: computed from its ledger's events alone.

A machine costs from its launch, where its cloud says when that was, to its last sign of life; and, where `cortex watch`
has asked the cloud, until the cloud took it away, be it that no program of ours ever began on it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cortex.errors import BudgetError
from cortex.runs.events import CLOUDS_WORD, Event, order

WARN = 0.8
"""The share of a budget whose spending is warned of."""

SIGNS = ("machine_started", "machine_alive", "machine_ended")

PLAUSIBLE = 6 * 3600.0
"""Seconds that an event may be ahead of the last sign of life by: for a few hours a bucket may be away, or a reader may
leave signs out; a clock that is set jumps by days, or by years."""


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
    """Its last sign of life, or its end, where the cloud told that."""
    seconds: float
    """All that is paid for: overlapping attempts count once, and the time between two attempts of a machine that says
    when it was launched counts, too."""
    open: bool
    """Whether nothing has said that its work ended: it is at work, or was killed."""
    reached: bool = True
    """True where `cortex run` began on it; if not, the cloud alone has said that it was there."""
    gone: bool = False
    """True where the cloud has said that it took it away: `until` is that moment then, and no sign of life."""

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
    """Whether a sign said how many seconds it had cost, by a clock that does not jump."""
    ahead: float = 0.0
    """Seconds that its events' times are ahead of `since` and `until`, which may be by its cloud's clock."""

    def hear(self, sign: Event) -> None:
        """Take in one of its `machine_...` events."""
        until = sign.get("until", sign["time"])
        if "seconds" in sign:
            self.until = max(self.until, self.since + sign["seconds"])
            self.counted = True
        else:
            self.reach(until)
        self.ahead = sign["time"] - until
        self.ended = self.ended or sign["event"] == "machine_ended"

    def reach(self, moment: float) -> None:
        """It was alive at a moment, if that can be."""
        if moment - self.until <= PLAUSIBLE:
            self.until = max(self.until, moment)


def charges(events: Iterable[Event]) -> tuple[Charge, ...]:
    """What each machine cost, in the order in which they began. Events may be doubled, and come in any order.

    An attempt is known by its machine and its beginning, which each `machine_...` event names. It lasts for as many
    seconds as its signs of life say that it has cost, which they count by a clock that does not jump; where they say
    none, until them, and until other events of an epoch that it wrote under, unless they are further ahead than
    `PLAUSIBLE`: then a clock was set. What the cloud said of a machine is added, its own time with it counted once. Of
    two prices of a machine the one entered under the later epoch holds for all its time, its own before the cloud's.
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
            attempt.hear(event)
    for event in known:
        attempt = None if event["event"] in {*SIGNS, *CLOUDS_WORD} else by_epoch.get(event["epoch"])
        # Such an event may be dated by the bucket, and a sign by its writer: their difference would come and go.
        if attempt and not attempt.counted:
            attempt.reach(event["time"] - attempt.ahead)
    machines: dict[str, list[_Attempt]] = {}
    for attempt in (*attempts.values(), *(_seen(event) for event in known if event["event"] in CLOUDS_WORD)):
        machines.setdefault(attempt.started["machine"], []).append(attempt)
    return tuple(sorted((_charge(each) for each in machines.values()), key=lambda charge: charge.since))


def spent(events: Iterable[Event]) -> float:
    """The dollars that a run has cost: several machines at once add up."""
    return sum(charge.dollars for charge in charges(events))


def cap(events: Iterable[Event], budget: float) -> float:
    """What the run may cost: the profile's `budget`, or what it was last raised to. 0 sets no limit."""
    raised = [event for event in events if event["event"] == "budget_raised"]
    return float(max(raised, key=order)["dollars"]) if raised else budget


def longest(events: Iterable[Event], hours: float) -> float:
    """The hours that the run may take: the profile's `max_duration`, or what it was last raised to. 0: no limit."""
    raised = [event for event in events if event["event"] == "max_duration_raised"]
    return float(max(raised, key=order)["hours"]) if raised else hours


def launched_at(events: Iterable[Event]) -> float | None:
    """When a run was first launched, in seconds since 1970; None for one that was not."""
    return min((event["time"] for event in events if event["event"] == "launching"), default=None)


def over_time(run: str, hours: float) -> BudgetError:
    """The error of a run that has taken as long as it may."""
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


def _seen(event: Event) -> _Attempt:
    """The time for which a cloud has said that a machine was there."""
    since, until = float(event["since"]), float(event["until"])
    return _Attempt(event, since, max(since, until), ended=event["event"] == "machine_gone")


def _charge(attempts: Sequence[_Attempt]) -> Charge:
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
        seconds=_covered((attempt.since, attempt.until) for attempt in attempts),
        open=not newest.ended and not gone,
        reached=bool(own),
        gone=gone,
    )


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """The seconds that lie in any of the spans."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
