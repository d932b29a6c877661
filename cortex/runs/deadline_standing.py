"""How a run stands to its deadline: what is left to do, what is left of the time, and what its machine is to do now."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from cortex.runs.budget import charges
from cortex.runs.deadline import Outlook, affordable, due, leaves, net, worthwhile
from cortex.runs.events import Event, order
from cortex.runs.machine import Machine
from cortex.runs.pace import step_seconds
from cortex.runs.prices import PriceList

Decision = Literal["spot", "stay", "leave"]


@dataclass(frozen=True)
class Deadline:
    """A run's deadline and what was estimated of it at its launch, as `deadline_set` in the ledger says."""

    at: float
    """In seconds since 1970, by the bucket's clock."""
    hours: float
    """From the first launch to it."""
    restart: float
    """Seconds of a start."""
    stretch: float
    """Seconds of work from one checkpoint to the next, with the saving: the longest of its stages."""
    work: dict[str, float]
    """By stage, in their order: seconds that it takes."""
    starts: tuple[str, ...]
    """The stages that are the first of their task, so that a machine is started for each."""
    spot: bool
    """True where its tasks may be given spot machines."""

    @classmethod
    def read(cls, events: Iterable[Event]) -> Self | None:
        """The last that was set; None for a run without one."""
        found = max((event for event in events if event["event"] == "deadline_set"), key=order, default=None)
        if found is None:
            return None
        names = ("at", "hours", "restart", "stretch", "spot")
        return cls(**{name: found[name] for name in names}, work=found["work"], starts=tuple(found["starts"]))

    def entry(self) -> dict[str, Any]:
        """Its values in the ledger."""
        return {**vars(self), "starts": list(self.starts)}

    def need(self, events: Sequence[Event], only: Iterable[str] | None = None) -> float:
        """Seconds of work and of starts that are left of the run, or of some of its stages.

        What was estimated of a stage's steps gives way to their measured pace; a stage that was begun needs no start.
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
    """A machine's decision, and what it is made of. Seconds."""

    decision: Decision
    reason: str
    """Why, in a few words that stay the same as long as the reason does."""
    left: float
    need: float

    @property
    def slack(self) -> float:
        return self.left - self.need

    def entry(self) -> dict[str, Any]:
        """Its values in the ledger's `deadline_decision`."""
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
    """What a rented machine is to do that runs some `stages` of a run; `now` is by the clock of the deadline."""
    left, need = deadline.at - now, deadline.need(events)

    def stand(decision: Decision, reason: str) -> Standing:
        return Standing(decision, reason, left, need)

    if machine.spot:
        enough = left - need >= net(deadline.restart, deadline.stretch)
        return stand("spot", "on spot" if enough else "on spot with little slack: another is taken if this one goes")
    spot = _spot_price(machine, prices) if deadline.spot else None
    if spot is None:
        return stand("stay", "on demand, as its task has no spot machine")
    # A spot machine's charge ends with its last sign of life; before the first one, all the time was an outage.
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
    if leaves(outlook):
        return stand("leave", "left on demand for a try at spot, which the slack affords")
    if not affordable(outlook):
        return stand("stay", "on demand to the end, since the slack affords no try at spot")
    if not worthwhile(outlook):
        return stand("stay", "on demand, since too little is left here for a try at spot to pay")
    assert not due(outlook)
    return stand("stay", "on demand until the next try at spot is due")


def _last_steps(events: Iterable[Event]) -> dict[str, tuple[int, int]]:
    """By stage that was begun: the newest attempt's step and the number of them, as far as one was told."""
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
    """Dollars an hour of the cheapest spot machine like this one; None where none is known."""
    alike = [
        offer.dollars_per_hour
        for offer in (prices.offers if prices else ())
        if offer.spot
        and offer.accelerators == machine.accelerators
        and (machine.accelerators or offer.instance_type == machine.instance_type)
    ]
    return min(alike) * machine.nodes if alike else None
