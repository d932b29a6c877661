"""A run's standing against its deadline: the work and the time that are left, and its machine's decision."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from cortex.runs.budget import charges
from cortex.runs.deadline_rule import Outlook, is_affordable, is_due, is_worthwhile, reserve_seconds, should_leave
from cortex.runs.events import Event, order
from cortex.runs.machine import Machine
from cortex.runs.pace import step_seconds
from cortex.runs.price_list import PriceList

Decision = Literal["spot", "stay", "leave"]


@dataclass(frozen=True)
class Deadline:
    """A run's deadline and the estimates at its launch, as in the ledger's `deadline_set`."""

    at: float
    """The deadline, in seconds since 1970 by the bucket's clock."""
    hours: float
    """Hours from the first launch to the deadline."""
    restart: float
    """Seconds that a start takes."""
    stretch: float
    """Seconds of work from one checkpoint to the next, with the saving: the longest of its stages."""
    work: dict[str, float]
    """Seconds that each stage takes, in the stages' order."""
    starts: tuple[str, ...]
    """The first stage of each task, for which a machine is started."""
    spot: bool
    """True if its tasks may get spot machines."""

    @classmethod
    def read(cls, events: Iterable[Event]) -> Self | None:
        """The deadline that was set last; None for a run without one."""
        found = max((event for event in events if event["event"] == "deadline_set"), key=order, default=None)
        if found is None:
            return None
        names = ("at", "hours", "restart", "stretch", "spot")
        return cls(**{name: found[name] for name in names}, work=found["work"], starts=tuple(found["starts"]))

    def entry(self) -> dict[str, Any]:
        """The values for the ledger's `deadline_set`."""
        return {**vars(self), "starts": list(self.starts)}

    def need(self, events: Sequence[Event], only: Iterable[str] | None = None) -> float:
        """Seconds of work and of starts that are left of the run, or of some of its stages.

        The measured pace of a stage's steps replaces their estimate. A stage that was begun needs no start.
        """
        finished = {event.get("stage") for event in events if event["event"] == "stage_finished"}
        begun, paces = _last_steps(events), step_seconds(events)
        wanted = set(self.work if only is None else only)
        total = 0.0
        for stage, seconds in self.work.items():
            if stage in finished or stage not in wanted:
                continue
            if stage not in begun:
                total += seconds + (self.restart if stage in self.starts else 0.0)
                continue
            step, of = begun[stage]
            left = max(0, of - step)
            total += left * paces[stage] if stage in paces else seconds * (left / of if of else 1.0)
        return total


@dataclass(frozen=True)
class Standing:
    """A machine's decision, and the times behind it in seconds."""

    decision: Decision
    reason: str
    """The reason, in words that stay the same as long as it holds."""
    left: float
    need: float

    @property
    def slack(self) -> float:
        return self.left - self.need

    def entry(self) -> dict[str, Any]:
        """The values for the ledger's `deadline_decision`."""
        return {
            "decision": self.decision,
            "reason": self.reason,
            **{name: round(getattr(self, name), 1) for name in ("left", "need", "slack")},
        }

    def __str__(self) -> str:
        late = f"{self.slack / 3600:.1f} h of slack" if self.slack >= 0 else f"{-self.slack / 3600:.1f} h late"
        return f"{self.reason}; {self.left / 3600:.1f} h to the deadline, {self.need / 3600:.1f} h of work: {late}"


def judge(
    deadline: Deadline,
    events: Sequence[Event],
    machine: Machine,
    prices: PriceList | None,
    stages: Sequence[str],
    now: float,
) -> Standing:
    """The decision of a rented machine that runs some `stages` of a run. `now` is by the deadline's clock."""
    left, need = deadline.at - now, deadline.need(events)

    def stand(decision: Decision, reason: str) -> Standing:
        return Standing(decision, reason, left, need)

    if machine.spot:
        enough = left - need >= reserve_seconds(deadline.restart, deadline.stretch)
        return stand("spot", "on spot" if enough else "on spot with little slack: another is taken if this one goes")
    spot = _spot_price(machine, prices) if deadline.spot else None
    if spot is None:
        return stand("stay", "on demand, as its task has no spot machine")
    # A spot machine's charge ends with its last sign of life. Without any, the outage began at the launch.
    last = max((charge.until for charge in charges(events) if charge.spot), default=deadline.at - deadline.hours * 3600)
    outlook = Outlook(
        left=left,
        need=need,
        here=deadline.need(events, stages),
        running=now - machine.since,
        outage=now - last,
        restart=deadline.restart,
        stretch=deadline.stretch,
        spot=spot,
        on_demand=machine.dollars_per_hour,
    )
    if should_leave(outlook):
        return stand("leave", "left on demand for a try at spot, which the slack affords")
    if not is_affordable(outlook):
        return stand("stay", "on demand to the end, since the slack affords no try at spot")
    if not is_worthwhile(outlook):
        return stand("stay", "on demand, since too little is left here for a try at spot to pay")
    assert not is_due(outlook)
    return stand("stay", "on demand until the next try at spot is due")


def _last_steps(events: Iterable[Event]) -> dict[str, tuple[int, int]]:
    """The last reported step and the number of steps of each stage that was begun; zeros before the first report."""
    stage_of: dict[int, str] = {}
    found: dict[str, tuple[int, int]] = {}
    for event in sorted(events, key=order):
        if event["event"] == "stage_started":
            stage_of[event["epoch"]] = event["stage"]
            found.setdefault(event["stage"], (0, 0))
        elif event["event"] == "progress" and event["epoch"] in stage_of:
            found[stage_of[event["epoch"]]] = (event["step"], event["total"])
    return found


def _spot_price(machine: Machine, prices: PriceList | None) -> float | None:
    """The price of the cheapest spot machine like this one, in dollars an hour; None if none is known."""
    alike = [
        offer.dollars_per_hour
        for offer in (prices.offers if prices else ())
        if offer.spot
        and offer.accelerators == machine.accelerators
        and (machine.accelerators or offer.instance_type == machine.instance_type)
    ]
    return min(alike) * machine.nodes if alike else None
