"""A machine's decision for a run's deadline: from the ledger alone, and by the meter of a real program."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.lease import Lease
from cortex.errors import BudgetError, MovedError
from cortex.runs.deadline_rule import NET, PACE
from cortex.runs.deadline_standing import Deadline, Standing, judge
from cortex.runs.events import Event, parse
from cortex.runs.ledger import Ledger, LedgerReader
from cortex.runs.machine import Machine
from cortex.runs.metadata.endpoints import Endpoints
from cortex.runs.meter import Meter
from cortex.runs.price_list import Offer, PriceList
from tests.runs.metadata_server import AwsServer
from tests.runs.watching import wait

RUN, HOUR, START = "run-1", 3600.0, 1_000_000.0

DEADLINE = Deadline(
    at=START + 27 * HOUR,
    hours=27.0,
    restart=600.0,
    stretch=900.0,
    work={"data": 0.0, "sft": 4 * HOUR, "grpo": 12 * HOUR, "export": HOUR},
    starts=("data", "sft", "grpo", "export"),
    spot=True,
)
SAME = {"cloud": "aws", "region": "us-east-1", "instance_type": "p5.48xlarge", "accelerators": "H100:8"}
PRICES = PriceList(
    taken=START,
    offers=(
        Offer(**SAME, spot=True, dollars_per_hour=25.0),
        Offer(**SAME, spot=False, dollars_per_hour=55.0),
        Offer(cloud="aws", region="us-east-1", instance_type="m6i.xlarge", spot=True, dollars_per_hour=0.1),
    ),
)
ON_DEMAND = Machine(
    "i-2",
    START + 5 * HOUR,
    cloud="aws",
    region="us-east-1",
    instance_type="p5.48xlarge",
    accelerators="H100:8",
    dollars_per_hour=55.0,
)


def event(kind: str, epoch: int, after: float = 0.0, /, **values: object) -> Event:
    return {"time": START + after * HOUR, "epoch": epoch, "event": kind, **values}


BEGUN = (
    event("deadline_set", 1, **DEADLINE.entry()),
    event("launching", 1),
    event("stage_started", 2, stage="data"),
    event("stage_finished", 2, stage="data"),
    event("stage_started", 3, 0.5, stage="sft"),
    event("stage_finished", 3, 4.5, stage="sft"),
    event("machine_started", 4, 4.5, machine="i-1", since=START + 4.5 * HOUR, dollars_per_hour=25.0, spot=True),
    event("stage_started", 4, 4.6, stage="grpo"),
    event("progress", 4, 4.7, step=10, total=1000),
    event("progress", 4, 4.8, step=20, total=1000),
    event("machine_alive", 4, 4.9, machine="i-1", since=START + 4.5 * HOUR, seconds=0.4 * HOUR),
)
"""Data and SFT are made. GRPO, whose steps take 36 s instead of the estimate's 43, has lost its spot machine."""


def decided(hours: float, machine: Machine = ON_DEMAND, events: Sequence[Event] = BEGUN) -> Standing:
    deadline = Deadline.read(events)
    assert deadline
    return judge(deadline, events, machine, PRICES, ("grpo",), START + hours * HOUR)


def test_a_deadline_in_the_ledger_is_the_one_that_was_set_and_the_last_one_counts() -> None:
    assert Deadline.read(BEGUN) == DEADLINE
    raised = replace(DEADLINE, at=START + 40 * HOUR, hours=40.0)
    assert Deadline.read([event("deadline_set", 9, **raised.entry()), *BEGUN]) == raised
    assert Deadline.read(BEGUN[1:]) is None


@pytest.mark.parametrize("values", [{"at": "soon"}, {"work": [1]}, {"restart": -1}, {"starts": "sft"}, {"hours": 0}])
def test_a_spoilt_deadline_is_none(values: dict[str, object]) -> None:
    assert not parse([json.dumps(event("deadline_set", 1, **DEADLINE.entry() | values))])
    assert parse([json.dumps(event("deadline_set", 1, **DEADLINE.entry()))])


def test_what_is_left_is_by_the_measured_pace_and_a_start_for_each_task_to_come() -> None:
    first = BEGUN[:2]
    assert DEADLINE.need(first) == pytest.approx(17 * HOUR + 4 * 600)
    # GRPO, which has begun, has 980 steps of 36 s left; export is to come, with a start.
    assert DEADLINE.need(BEGUN) == pytest.approx(980 * 36 + HOUR + 600)
    assert DEADLINE.need(BEGUN, ("grpo",)) == pytest.approx(980 * 36)
    # Before a pace is measured, the estimate counts by the share of steps that is left.
    assert DEADLINE.need(BEGUN[:-2], ("grpo",)) == pytest.approx(12 * HOUR * 0.99)
    assert DEADLINE.need(BEGUN[:-3], ("grpo",)) == pytest.approx(12 * HOUR)
    assert DEADLINE.need([*BEGUN, event("stage_finished", 4, stage="grpo")]) == pytest.approx(HOUR + 600)


def test_a_machine_on_demand_stays_until_a_try_is_due_then_leaves_and_stays_longer_in_a_longer_outage() -> None:
    early, ripe = (decided(5 + hours) for hours in (PACE * 600 / HOUR - 0.01, PACE * 600 / HOUR + 0.01))
    assert (early.decision, early.reason) == ("stay", "on demand until the next try at spot is due")
    assert (ripe.decision, ripe.reason) == ("leave", "left on demand for a try at spot, which the slack affords")
    # An on-demand machine stays for half of the time since the last spot machine's last sign: here, of three hours.
    later = replace(ON_DEMAND, since=START + 7.9 * HOUR)
    assert [decided(7.9 + hours, later).decision for hours in (1.4, 1.6)] == ["stay", "leave"]


def test_with_little_slack_it_stays_to_the_end_and_says_so() -> None:
    need, slack = DEADLINE.need(BEGUN), NET * 600 + 900
    hours = (DEADLINE.at - START - need - slack) / HOUR
    assert decided(hours - 0.01).decision == "leave"
    late = decided(hours + 0.01)
    assert (late.decision, late.reason) == ("stay", "on demand to the end, since the slack affords no try at spot")
    assert "of slack" in str(late) and "h late" in str(decided(30.0))


def test_it_does_not_leave_for_the_last_minutes_nor_where_no_spot_is_sold_or_asked_for() -> None:
    near = [*BEGUN, event("progress", 4, 6.0, step=980, total=1000)]
    assert decided(8.0, events=near).reason == "on demand, since too little is left here for a try at spot to pay"
    other = replace(ON_DEMAND, instance_type="p6", accelerators="B200:8")
    assert decided(8.0, other).reason == "on demand, as its task has no spot machine"
    from_the_start = [event("deadline_set", 5, **replace(DEADLINE, spot=False).entry()), *BEGUN]
    assert decided(8.0, events=from_the_start).reason == "on demand, as its task has no spot machine"


def test_a_spot_machine_is_never_left() -> None:
    spot = replace(ON_DEMAND, spot=True, dollars_per_hour=25.0)
    assert [decided(hours, spot).decision for hours in (6.0, 16.0, 40.0)] == ["spot"] * 3
    assert decided(6.0, spot).reason == "on spot"
    assert "another is taken if this one goes" in decided(16.0, spot).reason


class Clock:
    def __init__(self, hours: float) -> None:
        self.now = START + hours * HOUR

    def __call__(self) -> float:
        return self.now


def bucket(path: Path, events: Sequence[Event]) -> FolderStore:
    """A bucket with a run's prices and events."""
    store = FolderStore(path)
    PRICES.write(store, RUN)
    for number, known in enumerate(events):
        store.put(f"runs/{RUN}/ledger/{known['epoch']:08d}-{number:06d}.jsonl", json.dumps(known).encode() + b"\n")
    return store


def named(store: FolderStore, name: str) -> list[Event]:
    return [found for found in LedgerReader(store, RUN).new_events() if found["event"] == name]


def test_the_meter_has_the_work_leave_when_a_try_is_due_and_enters_why(tmp_path: Path, aws: AwsServer) -> None:
    store, clock = bucket(tmp_path, BEGUN), Clock(5.2)
    aws.rent(datetime.fromtimestamp(START + 5 * HOUR, UTC), spot=False)
    asked = Endpoints(aws.url, None, None).identities()
    with Meter(store, RUN, 0.0, "grpo", asked=asked, clock=clock, every=0.02) as meter:
        meter.use_epoch(Lease.take(store, RUN).epoch)
        wait(lambda: named(store, "deadline_decision"))
        assert meter.ending is None
        meter.require()
        clock.now += HOUR
        wait(lambda: meter.ending)
        with pytest.raises(MovedError, match="left on demand for a try at spot") as moved:
            meter.require()
        assert meter.over is None
    assert moved.value.exit_code == 75
    entered = [(each["decision"], each["reason"]) for each in named(store, "deadline_decision")]
    assert [decision for decision, _ in entered] == ["stay", "leave"]


@pytest.mark.parametrize("spot", [True, False])
def test_a_run_without_a_deadline_is_left_alone(tmp_path: Path, aws: AwsServer, spot: bool) -> None:
    store, clock = bucket(tmp_path, BEGUN[1:]), Clock(9.0)
    aws.rent(datetime.fromtimestamp(START + 5 * HOUR, UTC), spot=spot)
    asked = Endpoints(aws.url, None, None).identities()
    with Meter(store, RUN, 0.0, "grpo", asked=asked, clock=clock, every=0.02) as meter:
        meter.use_epoch(Lease.take(store, RUN).epoch)
        wait(lambda: len(named(store, "machine_alive")) > 3)
        assert meter.ending is None
    assert not named(store, "deadline_decision")


def test_a_run_stops_once_it_has_taken_as_long_as_it_may_and_goes_on_when_that_is_raised(tmp_path: Path) -> None:
    store, clock = bucket(tmp_path, BEGUN[1:2]), Clock(9.9)
    with Meter(store, RUN, 0.0, "grpo", max_duration=10.0, asked=(), clock=clock, every=0.02) as meter:
        meter.use_epoch(Lease.take(store, RUN).epoch)
        wait(lambda: named(store, "machine_started"))
        assert meter.over is None
        clock.now += 0.2 * HOUR
        with pytest.raises(BudgetError, match=r"launched 10 hours ago.* --max-duration HOURS"):
            meter.require()
        Ledger(store, RUN, 90, clock).append("max_duration_raised", hours=12.0)
        wait(lambda: not meter.over)
