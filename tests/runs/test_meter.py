"""The meter's entries, and when it stops the work: without a stage, by a clock that the test sets."""

import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.lease import Lease
from cortex.artifacts.patience import Patience
from cortex.artifacts.store import Store, StoreError
from cortex.errors import BudgetError, DataError
from cortex.limits import RECORD_BYTES
from cortex.runs.ledger import Event, Ledger, LedgerReader
from cortex.runs.metadata.endpoints import Endpoints
from cortex.runs.meter import LOOK_SECONDS, Meter
from cortex.runs.price_list import Offer, PriceList
from tests.runs.metadata_server import AwsServer
from tests.runs.watching import wait

RUN = "run-1"
HOUR = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Bucket(FolderStore):
    """A folder that may stop answering requests which do not wait for long."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.down = False
        self.hasty: Bucket | None = None

    def with_patience(self, patience: Patience) -> Store:
        self.hasty = Bucket(self.root)
        self.hasty.down = self.down
        return self.hasty

    def get(self, key: str, limit: int = RECORD_BYTES) -> bytes:
        if self.down:
            raise StoreError(f"{key} cannot be read")
        return super().get(key, limit)

    def put(self, key: str, data: bytes) -> None:
        if self.down:
            raise StoreError(f"{key} cannot be written")
        super().put(key, data)

    def list(self, prefix: str = "") -> Any:
        if self.down:
            raise StoreError(f"{prefix} cannot be listed")
        return super().list(prefix)


class Hasty(Bucket):
    """A bucket that never answers requests which do not wait for long."""

    def with_patience(self, patience: Patience) -> Store:
        self.hasty = Bucket(self.root)
        self.hasty.down = True
        return self.hasty


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    store = Bucket(tmp_path / "bucket")
    offer = Offer(cloud="aws", region="r", instance_type="t", spot=True, dollars_per_hour=10.0)
    PriceList(taken=0.0, offers=(offer,)).write(store, RUN)
    return store


@contextmanager
def metered(bucket: Bucket, clock: Clock, budget: float = 100.0, grace: float = 1000.0) -> Generator[Meter]:
    with Meter(bucket, RUN, budget, "sft", asked=(), clock=clock, every=0.02, grace=grace) as meter:
        meter.use_epoch(Lease.take(bucket, RUN).epoch)
        wait(lambda: named(bucket, "machine_started"))
        yield meter


def named(store: Store, name: str) -> list[Event]:
    return [event for event in LedgerReader(store, RUN).new_events() if event["event"] == name]


def test_a_machine_is_entered_with_its_price_its_signs_of_life_and_its_end(bucket: Bucket) -> None:
    clock = Clock()
    with pytest.raises(ValueError, match="broke"), metered(bucket, clock) as meter:
        clock.now += HOUR
        wait(lambda: named(bucket, "machine_alive")[-1:] and named(bucket, "machine_alive")[-1]["until"] == clock.now)
        assert meter.spent == pytest.approx(10.0)
        raise ValueError("it\nbroke")
    [begun], [ended] = named(bucket, "machine_started"), named(bucket, "machine_ended")
    assert (begun["since"], begun["dollars_per_hour"], begun["task"]) == (1_000_000.0, 10.0, "sft")
    assert (ended["until"], ended["reason"]) == (clock.now, "ValueError: it broke")
    assert not [thread for thread in threading.enumerate() if thread.name == "meter"]


def test_the_price_list_is_read_with_the_patience_of_a_beginning(bucket: Bucket) -> None:
    clock, store = Clock(), Hasty(bucket.root)
    with Meter(store, RUN, 5.0, "sft", asked=(), clock=clock, every=0.02, grace=1000.0) as meter:
        clock.now += HOUR
        wait(lambda: meter.over)
        assert meter.spent == pytest.approx(10.0), "a bucket that answers too late makes no machine cheaper"


def test_a_price_list_that_is_none_stops_a_run_that_has_a_cap_and_no_other(bucket: Bucket, log: list[str]) -> None:
    bucket.put(f"runs/{RUN}/prices.json", b"{}")
    with pytest.raises(DataError, match=r"prices\.json: .*launch the run again"), metered(bucket, Clock()):
        pass
    with metered(bucket, Clock(), budget=0.0) as meter:
        assert meter.spent == 0.0
    assert any("prices.json" in line and "what this machine costs is not known" in line for line in log)


def test_a_bucket_that_does_not_answer_at_first_is_an_error_and_no_free_machine(bucket: Bucket) -> None:
    bucket.down = True
    with pytest.raises(StoreError), Meter(bucket, RUN, 5.0, "sft", asked=()):
        pass


def test_each_threshold_is_told_once_and_the_cap_ends_the_work(bucket: Bucket) -> None:
    clock = Clock()
    with metered(bucket, clock, budget=10.0) as meter:
        clock.now += 0.79 * HOUR
        wait(lambda: named(bucket, "machine_alive")[-1:] and named(bucket, "machine_alive")[-1]["until"] == clock.now)
        assert not named(bucket, "budget_warning")
        clock.now += 0.02 * HOUR
        wait(lambda: named(bucket, "budget_warning"))
        meter.require()
        clock.now += 0.19 * HOUR
        wait(lambda: named(bucket, "budget_spent"))
        with pytest.raises(BudgetError, match=r"spent \$10\.00 of its budget of \$10\.00"):
            meter.require()
        clock.now += 60
        wait(lambda: named(bucket, "machine_alive")[-1]["until"] == clock.now)
    assert [len(named(bucket, name)) for name in ("budget_warning", "budget_spent")] == [1, 1]
    with pytest.raises(BudgetError), metered(bucket, clock, budget=10.0):
        pass
    assert len(named(bucket, "machine_started")) == 1, "what begins at the cap refuses at once"


def test_without_a_budget_nothing_is_ever_over(bucket: Bucket) -> None:
    clock = Clock()
    with metered(bucket, clock, budget=0.0) as meter:
        clock.now += 1000 * HOUR
        meter.require()
        assert meter.spent == pytest.approx(10_000)


def test_a_raised_cap_is_warned_of_anew(bucket: Bucket) -> None:
    clock = Clock()
    with metered(bucket, clock, budget=10.0):
        clock.now += 0.9 * HOUR
        wait(lambda: named(bucket, "budget_warning"))
        Ledger(bucket, RUN, 91, clock).append("budget_raised", dollars=20.0)
        clock.now += HOUR
        wait(lambda: len(named(bucket, "budget_warning")) == 2)
    assert [event["budget"] for event in named(bucket, "budget_warning")] == [10.0, 20.0]


def test_the_cap_is_decided_by_its_own_clock_while_the_bucket_is_down(bucket: Bucket, log: list[str]) -> None:
    clock = Clock()
    with metered(bucket, clock, budget=10.0) as meter:
        assert bucket.hasty
        bucket.hasty.down = True
        clock.now += 2 * HOUR
        wait(lambda: any("the meter goes on" in line for line in log))
        assert meter.over and meter.spent == pytest.approx(20.0)
        bucket.hasty.down = False
    assert named(bucket, "machine_ended")[0]["until"] == clock.now, "what was held back is entered"


def test_the_time_before_its_program_counts_though_the_bucket_is_down(bucket: Bucket, aws: AwsServer) -> None:
    clock, store = Clock(), Hasty(bucket.root)
    aws.rent(datetime.fromtimestamp(clock.now - HOUR, UTC))
    asked = Endpoints(aws.url, None, None).identities()
    with Meter(store, RUN, 5.0, "sft", asked=asked, clock=clock, every=0.02, grace=1000.0) as meter:
        wait(lambda: meter.over)
        assert meter.spent == pytest.approx(10.0)


def test_no_stage_begins_on_a_machine_whose_boot_alone_has_cost_the_budget(bucket: Bucket, aws: AwsServer) -> None:
    clock = Clock()
    aws.rent(datetime.fromtimestamp(clock.now - HOUR, UTC))
    asked = Endpoints(aws.url, None, None).identities()
    with (
        Meter(bucket, RUN, 5.0, "sft", asked=asked, clock=clock) as meter,
        pytest.raises(BudgetError, match=r"spent \$10\.00 of its budget of \$5\.00"),
    ):
        meter.require()


def test_another_machine_and_a_raised_cap_are_read_from_the_ledger(bucket: Bucket) -> None:
    clock = Clock()
    with metered(bucket, clock, budget=10.0) as meter:
        other = Ledger(bucket, RUN, 90, clock)
        other.append("machine_started", machine="i-2", since=clock.now - HOUR, dollars_per_hour=30.0)
        wait(lambda: meter.over)
        assert meter.spent == pytest.approx(30.0)
        Ledger(bucket, RUN, 91, clock).append("budget_raised", dollars=40.0)
        wait(lambda: not meter.over)


@pytest.mark.parametrize("publishing", [False, True])
def test_who_does_not_leave_at_the_cap_is_ended_unless_it_publishes(bucket: Bucket, publishing: bool) -> None:
    clock, told = Clock(), list[int]()
    before = signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    try:
        with metered(bucket, clock, budget=10.0, grace=0.0) as meter:
            if publishing:
                meter.begin_publishing()
            clock.now += HOUR
            if publishing:
                time.sleep(4 * LOOK_SECONDS)
                assert not told
                meter.use_epoch(Lease.take(bucket, RUN).epoch)  # the next stage is not spared
            wait(lambda: told, 20)
    finally:
        signal.signal(signal.SIGTERM, before)
