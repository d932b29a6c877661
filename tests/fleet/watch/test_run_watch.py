"""A run under watch, on a real ledger. Stand-ins play SkyPilot and the cloud; the test bed has the real ones."""

import io
import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import pytest
from sky.jobs.state import ManagedJobStatus
from sky.schemas.api.responses import ManagedJobRecord

from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.lease import Lease
from cortex.console import Console
from cortex.errors import CortexError
from cortex.fleet.clouds.job_names import job_name
from cortex.fleet.status.run_status import RunStatus, read_status
from cortex.fleet.status.run_table import print_cost, print_runs, read_runs
from cortex.fleet.status.status_view import print_status
from cortex.fleet.watch.kit_jobs import KitJob
from cortex.fleet.watch.rentals import Rental
from cortex.fleet.watch.run_watch import RunWatch
from cortex.profiles.profile import Profile
from cortex.profiles.profile_sections import Budget
from cortex.runs.budget import charges, spent
from cortex.runs.context import create_run
from cortex.runs.ledger import Event, Ledger, LedgerReader
from cortex.runs.price_list import Offer, PriceList
from tests.backdating import backdate
from tests.fleet.conftest import RUN
from tests.fleet.watch.test_launches import rental
from tests.runs.conftest import log

__all__ = ["log"]

pytestmark = pytest.mark.integration

PRICE = 36.0
"""Dollars an hour: a cent a second."""


@dataclass
class World:
    """A run that was launched ten minutes ago, the answers of SkyPilot and the cloud, and the requests to them."""

    store: FolderStore
    profile: Profile
    machines: list[Rental] = field(default_factory=list[Rental])
    state: str = "STARTING"
    run: str = "cortex run data"
    cancelled: list[int] = field(default_factory=list[int])
    fails: CortexError | None = None
    now: float = field(default_factory=lambda: float(int(time.time())))

    def __post_init__(self) -> None:
        create_run(self.store, RUN, self.profile)
        offer = Offer(cloud="aws", region="us-east-1", instance_type="g6.xlarge", spot=True, dollars_per_hour=PRICE)
        PriceList(taken=0, offers=(offer,)).write(self.store, RUN)
        epoch = Lease.take(self.store, RUN).epoch
        ledger = Ledger(self.store, RUN, epoch, lambda: self.now - 600)
        ledger.append("launching", name=job_name(RUN))
        ledger.append("launched", job=7)
        backdate(self.store, f"runs/{RUN}", 600)

    def cancel(self, number: int) -> None:
        if self.fails:
            raise self.fails
        self.cancelled.append(number)

    def known(self) -> list[KitJob]:
        return [self.job]

    def rentals(
        self, run: str, bucket: str, regions: Collection[str], known: Collection[str]
    ) -> tuple[list[Rental], float]:
        assert (run, bucket, set(regions)) == (RUN, self.store.url, {"us-east-1"})
        return list(self.machines), self.now

    @property
    def job(self) -> KitJob:
        told: dict[str, Any] = {"job_id": 7, "job_name": job_name(RUN), "submitted_at": self.now - 600, "task_id": 0}
        told |= {"task_name": "sft", "details": "In backoff", "recovery_count": 0, "end_at": None}
        record = ManagedJobRecord(status=ManagedJobStatus(self.state), **told)
        return KitJob(RUN, self.store.url, 7, (record,), ("cortex run" in self.run,))

    def rent(self, machine: str, ago: float, until: float | None = None, **further: Any) -> None:
        """Add a machine that was launched so many seconds ago, and ended `until` seconds ago."""
        ended = None if until is None else self.now - until
        self.machines.append(rental(machine, self.now - ago, standing=until is None, ended=ended, **further))

    def work(self, ago: float = 0.0) -> None:
        """Write that a machine's program began so many seconds ago."""
        before = {entry.key for entry in self.store.list("runs")}
        ledger = Ledger(self.store, RUN, Lease.take(self.store, RUN).epoch, lambda: self.now - ago)
        told = {"machine": "i-own", "since": self.now - ago - 60, "dollars_per_hour": PRICE}
        ledger.append("machine_started", **told)
        for key in {entry.key for entry in self.store.list("runs")} - before:
            os.utime(self.store.local_path(key), (self.now - ago, self.now - ago))

    def watch(self) -> RunWatch:
        return RunWatch(self.store, RUN, self, self.rentals)

    def look(self) -> bool:
        return self.watch().look(self.job)

    def events(self, *kinds: str) -> list[Event]:
        return [event for event in LedgerReader(self.store, RUN).new_events() if event["event"] in kinds]


@pytest.fixture
def world(store: FolderStore, profile: Profile) -> World:
    wall = Budget(failed_launches=2, failed_dollars=5.0)
    return World(store, profile.model_copy(update={"budget": wall}))


def shown(show: Callable[..., None], *given: Any) -> str:
    text = io.StringIO()
    show(*given, Console(file=text, width=300))
    return text.getvalue()


def status(world: World) -> RunStatus:
    return read_status(world.store, RUN)


def test_launches_in_a_row_that_fail_end_the_run_and_every_view_says_why_and_for_how_much(world: World) -> None:
    world.rent("i-1", 400, 340)
    assert world.look() and not world.cancelled and status(world).state == "waiting"
    world.rent("i-2", 200, 100)
    assert world.look() and world.cancelled == [7]
    found = status(world)
    assert (found.state, found.over, round(found.spent, 2)) == ("failed", True, 1.60)
    assert found.given_up == (
        "2 launches in a row cost $1.60, and `cortex run` never began (budget.failed_launches 2), in task sft; "
        "SkyPilot says: In backoff; `.venv/bin/sky jobs logs --controller 7` shows why: mend it, then "
        "`cortex resume demo-1`"
    )
    for text in (shown(print_cost, found), shown(print_runs, read_runs(world.store), world.store.url)):
        assert "launches" in text and "1.60" in text
    assert f"given up: {found.given_up}" in shown(print_status, found)
    assert [charge.reached for charge in found.charges] == [False, False]


def test_dollars_count_while_a_machine_stands(world: World) -> None:
    world.rent("i-1", 499)
    world.look()
    assert not world.cancelled
    world.now += 2
    world.look()
    assert world.cancelled == [7] and "1 launch cost $5.01" in str(status(world).given_up)


def test_the_runs_cap_is_a_wall_too(store: FolderStore, profile: Profile) -> None:
    world = World(store, profile.model_copy(update={"budget": Budget(dollars=3.0, failed_launches=None)}))
    world.rent("i-1", 301)
    world.look()
    assert world.cancelled == [7] and "--budget DOLLARS" in str(status(world).given_up)


@pytest.mark.parametrize(
    "healthy",
    ["signs", "lease", "running", "no program of ours", "taken by the cloud", "an earlier launch's", "no wall"],
)
def test_what_is_no_failed_launch_is_never_ended(healthy: str, world: World) -> None:
    world.rent("i-1", 400, 300)
    world.rent("i-2", 200, 100)
    match healthy:
        case "signs":
            world.work(150)
        case "lease":
            Lease.take(world.store, RUN)
        case "running":
            world.state = "RUNNING"
        case "no program of ours":
            world.run = "python mine.py"
        case "taken by the cloud":
            world.machines = [rental(each.machine, each.launched, taken=True) for each in world.machines]
        case "an earlier launch's":
            world.machines = [rental(each.machine, each.launched - 1000) for each in world.machines]
        case _:
            world.profile = world.profile.model_copy(update={"budget": Budget(failed_launches=5)})
            world.store.put(f"runs/{RUN}/profile.json", world.profile.to_json())
    assert world.look()
    assert not world.cancelled and not world.events("given_up")


def test_a_sign_of_life_begins_the_row_anew(world: World) -> None:
    world.rent("i-1", 500, 400)
    world.work(350)
    world.rent("i-2", 300, 200)
    world.look()
    assert not world.cancelled
    world.rent("i-3", 100, 10)
    world.look()
    assert world.cancelled == [7]


def test_a_sign_of_life_that_comes_as_it_is_given_up_spares_the_run(
    world: World, monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    world.rent("i-1", 500)
    watch = world.watch()
    give_up = RunWatch._give_up

    def just_then(self: RunWatch, *given: Any) -> None:
        give_up(self, *given)
        world.work()

    monkeypatch.setattr(RunWatch, "_give_up", just_then)
    assert watch.look(world.job) and not world.cancelled
    assert "gave a sign of life just now" in "".join(log)
    assert status(world).state == "waiting" and status(world).given_up is None
    assert watch.look(world.job) and not world.cancelled


def test_two_watchers_and_one_that_died_after_its_word_cancel_a_job_that_was_given_up(world: World) -> None:
    world.rent("i-1", 400, 300)
    world.rent("i-2", 200, 100)
    world.fails = CortexError("SkyPilot is away")
    for _ in range(2):
        with pytest.raises(CortexError, match="SkyPilot is away"):
            world.look()
    assert len(world.events("given_up")) == 1
    world.fails = None
    first, second = world.watch(), world.watch()
    assert first.look(world.job) and second.look(world.job)
    assert world.cancelled == [7, 7] and len(world.events("given_up")) == 1
    assert spent(world.events("machine_gone")) == pytest.approx(2.0)


@pytest.mark.parametrize("silent", ["cloud", "bucket"])
def test_nothing_is_ended_because_somebody_did_not_answer(
    silent: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.rent("i-1", 400, 300)
    world.rent("i-2", 200, 100)
    watch = world.watch()

    def fail(*given: object) -> Any:
        raise CortexError(f"the {silent} is away")

    with monkeypatch.context() as patch:
        patch.setattr(watch, "ask", fail) if silent == "cloud" else patch.setattr(FolderStore, "list", fail)
        with pytest.raises(CortexError, match="is away"):
            watch.look(world.job)
    assert not world.cancelled and not world.events("given_up")
    assert watch.look(world.job) and world.cancelled == [7]


def test_after_it_was_given_up_what_the_cloud_still_has_is_ended_but_for_machines_that_worked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.rent("i-1", 400, 300)
    world.rent("i-2", 200, 100)
    world.look()
    world.rent("i-2b", 200)
    world.rent("i-own", 60)
    world.state = "CANCELLED"
    ended = list[str]()
    monkeypatch.setattr("cortex.fleet.watch.run_watch.end", lambda rental: ended.append(rental.machine))
    Ledger(world.store, RUN, 1, name="own").append(
        "machine_started", machine="i-own", since=world.now - 60, dollars_per_hour=PRICE
    )
    assert world.look() and ended == ["i-2b"]
    world.machines = []
    assert not world.look()


def test_a_job_that_skypilot_ended_is_looked_at_until_its_machines_are_gone_and_paid_for(world: World) -> None:
    world.rent("i-1", 120)
    world.state = "FAILED_SETUP"
    assert world.look() and not world.cancelled
    world.machines = []
    world.now += 20
    world.rent("i-1", 140, 20)
    assert not world.look()
    (charge,) = charges(world.events("machine_gone", "machine_standing"))
    assert (charge.machine, charge.reached, charge.open, round(charge.dollars, 2)) == ("i-1", False, False, 1.2)


def test_a_machine_that_works_is_charged_until_the_cloud_took_it_away(world: World) -> None:
    world.work(100)
    world.rent("i-own", 160)
    world.state = "RUNNING"
    assert world.look() and not world.events("machine_standing", "machine_gone")
    world.machines = []
    world.now += 10
    world.rent("i-own", 170, 10)
    for _ in range(2):
        world.look()
    assert len(world.events("machine_gone")) == 1
    assert status(world).spent == pytest.approx(1.6, abs=0.02)


def test_one_that_goes_by_its_hosts_name_is_paid_for_once(world: World) -> None:
    ledger = Ledger(world.store, RUN, Lease.take(world.store, RUN).epoch)
    told = {"machine": "ip-10-0-0-1", "since": world.now - 60, "until": world.now}
    ledger.append("machine_started", **told, dollars_per_hour=PRICE)
    world.rent("i-1", 90, 5)
    world.look()
    assert status(world).spent == pytest.approx(0.6, abs=0.03)


def test_machines_that_work_as_one_are_charged_as_one(world: World) -> None:
    world.rent("i-1", 200)
    world.rent("i-2", 200, head=True)
    world.look()
    (charge,) = charges(world.events("machine_standing"))
    assert (charge.machine, charge.dollars_per_hour, round(charge.dollars, 2)) == ("i-2", 2 * PRICE, 4.0)


def test_what_stands_is_entered_each_minute_and_what_ec2_forgot_is_gone(world: World) -> None:
    world.rent("i-1", 30)
    watch = world.watch()
    for _ in range(7):
        watch.look(world.job)
        world.now += 20
    assert len(world.events("machine_standing")) == 3
    world.machines = []
    watch.look(world.job)
    assert status(world).spent == pytest.approx(1.5, abs=0.21)
    assert [charge.open for charge in status(world).charges] == [False]


def test_a_job_whose_launch_was_killed_and_gone_on_with_hours_later_is_watched(world: World) -> None:
    assert world.store.delete(f"runs/{RUN}/ledger")
    Ledger(world.store, RUN, 1, lambda: world.now - 600).append("launching", name=job_name(RUN))
    backdate(world.store, f"runs/{RUN}/ledger", 600)
    Ledger(world.store, RUN, 1, lambda: world.now + 7200, name="found").append("launched", job=7)
    later = world.now + 7200
    for entry in world.store.list(f"runs/{RUN}/ledger"):
        if "found" in entry.key:
            os.utime(world.store.local_path(entry.key), (later, later))
    world.rent("i-1", 400, 300)
    world.rent("i-2", 200, 100)
    assert world.look() and world.cancelled == [7]


def test_a_watchers_words_are_no_signs_of_life(world: World) -> None:
    world.rent("i-1", 200)
    world.look()
    found = status(world)
    assert found.seen is None and found.state == "waiting" and found.machine and found.machine.machine == "i-1"
