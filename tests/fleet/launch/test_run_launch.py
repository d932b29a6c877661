"""The order in which a launch writes and submits. A stand-in plays SkyPilot's part; the test bed has the real one."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from loguru import logger

from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.lease import Lease
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.store import StoreError
from cortex.bases.base_pin import bind_pin, find_pin
from cortex.bases.base_revision import pin_now
from cortex.errors import BudgetError, ConfigError, CortexError, DataError, RefusedError, UsageError
from cortex.fleet.launch.run_launch import (
    SIGN_OF_LIFE,
    SUBMISSION,
    Order,
    launch,
    require_bucket,
    require_unfinished,
    stop,
)
from cortex.fleet.status.run_status import read_status
from cortex.fleet.status.status_view import summary
from cortex.profiles.profile import Profile, with_overrides
from cortex.profiles.profile_file import load_profile
from cortex.profiles.profile_sections import Model, ScratchModel
from cortex.runs.budget import cap
from cortex.runs.context import create_run
from cortex.runs.deadline_standing import Deadline
from cortex.runs.ledger import Event, Ledger, LedgerReader
from cortex.runs.price_list import Offer, PriceList
from cortex.runs.run_secret import SECRET_VARIABLE, RunSecret
from tests.backdating import backdate
from tests.fleet.services import COMMIT, TRAINABLE, Hub, serving
from tests.runs.conftest import log

__all__ = ["log"]

RUN = "r1"
SECRET = RunSecret(RUN, "the secret of a run in these tests")
LEDGER = f"runs/{RUN}/ledger"
OFFER = Offer(cloud="aws", region="us-east-1", instance_type="m6i.xlarge", spot=True, dollars_per_hour=0.1)


class Killed(BaseException):
    """A signal that cannot be caught."""


class Server:
    """Stand-in for SkyPilot's server."""

    def __init__(self) -> None:
        self.up, self.submitted = list[str](), list[tuple[str, list[str]]]()
        self.fails: BaseException | None = None
        self.killed_after = False

    def of_run(self, run: str) -> list[str]:
        return list(self.up) if run == RUN else []

    def destroy(self, name: str) -> None:
        self.up.remove(name)

    def submit(
        self, documents: Sequence[dict[str, Any]], name: str, secrets: Mapping[str, str], identity: str | None = None
    ) -> int:
        self.identity = identity
        if self.fails:
            raise self.fails
        self.submitted.append((name, [str(document["name"]) for document in documents]))
        self.secrets = dict(secrets)
        self.up.append(f"job/{len(self.submitted)}")
        if self.killed_after:
            raise Killed
        return len(self.submitted)


@pytest.fixture
def order(profile: Profile) -> Order:
    return Order(
        RUN, profile, [{"name": "data"}, {"name": "sft"}], (OFFER,), "sky.yaml", "ada", {"HF_TOKEN": "t"}, SECRET
    )


def events(store: FolderStore) -> list[Event]:
    return LedgerReader(store, RUN).new_events()


def names(store: FolderStore) -> list[str]:
    return [event["event"] for event in events(store)]


def test_a_run_is_entered_priced_submitted_and_told(store: FolderStore, order: Order) -> None:
    server = Server()
    assert launch(order, store, server) == "job/1"
    assert server.submitted == [("cortex-r1", ["data", "sft"])]
    assert server.secrets == {"HF_TOKEN": "t", SECRET_VARIABLE: SECRET.value}
    prices = PriceList.read(store, RUN)
    assert prices and prices.offers == (OFFER,)
    begun, launched = events(store)
    assert begun["event"] == "launching" and launched["event"] == "launched"
    told = {key: launched[key] for key in ("job", "name", "tasks", "pipeline", "owner", "again")}
    assert told == {
        "job": 1,
        "name": "cortex-r1",
        "tasks": ["data", "sft"],
        "pipeline": "sky.yaml",
        "owner": "ada",
        "again": False,
    }
    assert Lease.take(store, RUN).epoch > launched["epoch"]  # a machine's entries come under later epochs


def test_a_run_that_runs_is_refused_with_both_ways_out(store: FolderStore, order: Order) -> None:
    server = Server()
    launch(order, store, server)
    with pytest.raises(RefusedError, match=r"r1 is running \(job/1\): `cortex status r1`.*`cortex stop r1`"):
        launch(order, store, server)
    assert len(server.submitted) == 1


def test_killed_between_submission_and_ledger_the_next_launch_goes_on_with_the_job(
    store: FolderStore, order: Order
) -> None:
    server = Server()
    server.killed_after = True
    with pytest.raises(Killed):
        launch(order, store, server)
    assert names(store) == ["launching"] and server.up == ["job/1"]
    machine = Lease.take(store, RUN)
    Ledger(store, RUN, machine.epoch).append("machine_alive", machine="i-1", since=0.0)
    assert launch(order, store, server) == "job/1"
    machine.check()  # the job's own lease was left alone
    assert len(server.submitted) == 1 and names(store) == ["launching", "launched", "machine_alive"]
    with pytest.raises(RefusedError, match="is running"):
        launch(order, store, server)


def test_who_does_not_hold_the_runs_secret_cannot_launch_it_again(store: FolderStore, order: Order) -> None:
    server = Server()
    launch(order, store, server)
    stop(RUN, store, server)
    elsewhere = replace(order, secret=RunSecret(RUN, "the secret of another machine, as long"), again=True)
    with pytest.raises(RefusedError, match="was begun with another secret than this machine's") as refused:
        launch(elsewhere, store, server)
    assert refused.value.exit_code == 77 and len(server.submitted) == 1
    assert names(store)[-1] == "stopped"


def test_a_profile_that_somebody_replaced_is_not_launched_again(store: FolderStore, order: Order) -> None:
    server = Server()
    launch(order, store, server)
    stop(RUN, store, server)
    other = load_profile("rehearsal", {"teacher.url": "https://attacker.example/v1"})
    store.put(f"runs/{RUN}/profile.json", other.to_json())
    with pytest.raises(RefusedError, match=r"profile\.json is not the profile that run r1 was begun with"):
        launch(replace(order, profile=other, again=True), store, server)
    assert len(server.submitted) == 1


def test_a_cluster_is_no_job_that_a_killed_launch_left(store: FolderStore, order: Order) -> None:
    server = Server()
    server.fails = Killed()
    with pytest.raises(Killed):
        launch(order, store, server)
    server.fails, server.up = None, ["cluster/cortex-r1"]
    with pytest.raises(RefusedError, match=r"r1 is running \(cluster/cortex-r1\)"):
        launch(order, store, server)
    assert not server.submitted


def test_a_cap_that_is_raised_for_a_job_which_is_found_holds_for_it(store: FolderStore, order: Order) -> None:
    server, order = Server(), replace(order, profile=load_profile("rehearsal", {"budget.dollars": 100}))
    server.killed_after = True
    with pytest.raises(Killed):
        launch(replace(order, budget=120.0), store, server)
    with pytest.raises(ConfigError, match="--budget 110 is no more"):
        launch(replace(order, budget=110.0), store, server)
    assert launch(replace(order, budget=150.0), store, server) == "job/1"
    assert cap(events(store), 100.0) == 150.0
    assert names(store) == ["budget_raised", "launching", "budget_raised", "launched"]


def test_the_cap_of_a_job_which_is_found_is_raised_once(store: FolderStore, order: Order) -> None:
    server, order = Server(), replace(order, profile=load_profile("rehearsal", {"budget.dollars": 100}), budget=120.0)
    server.killed_after = True
    with pytest.raises(Killed):
        launch(order, store, server)
    assert launch(order, store, server) == "job/1"
    assert names(store).count("budget_raised") == 1


def test_killed_before_the_job_is_seen_the_next_launch_waits_for_what_may_come(
    store: FolderStore, order: Order
) -> None:
    server = Server()
    server.fails = Killed()
    with pytest.raises(Killed):
        launch(order, store, server)
    server.fails = None
    backdate(store, LEDGER, 30)
    with pytest.raises(RefusedError, match="is being launched by ada since 30 s"):
        launch(order, store, server)
    backdate(store, LEDGER, SUBMISSION)
    assert launch(order, store, server) == "job/1"


def test_what_skypilot_does_not_take_is_told_and_can_be_tried_again_at_once(store: FolderStore, order: Order) -> None:
    server = Server()
    server.fails = CortexError("cannot launch cortex-r1: no")
    with pytest.raises(CortexError):
        launch(order, store, server)
    assert names(store) == ["launching", "launch_failed"]
    server.fails = None
    assert launch(order, store, server) == "job/1"


def test_a_server_that_is_lost_while_it_takes_the_job_may_have_taken_it(store: FolderStore, order: Order) -> None:
    server = Server()
    server.fails = ConfigError("cannot launch cortex-r1: SkyPilot's server does not answer")
    with pytest.raises(ConfigError):
        launch(order, store, server)
    server.fails = None
    with pytest.raises(RefusedError, match="is being launched by ada"):
        launch(order, store, server)
    server.up = ["job/7"]
    assert launch(order, store, server) == "job/7" and not server.submitted


def test_a_machine_that_another_server_rents_is_seen_by_what_it_writes(store: FolderStore, order: Order) -> None:
    server = Server()
    Ledger(store, RUN, 1).append("machine_alive", machine="i-1", since=900.0)
    backdate(store, LEDGER, 30)
    with pytest.raises(RefusedError, match="r1 is running elsewhere: it wrote 'machine_alive' 30 s ago"):
        launch(order, store, server)
    Ledger(store, RUN, 2).append("machine_ended", machine="i-1", since=900.0)
    assert launch(order, store, server) == "job/1"


def test_a_machine_that_is_silent_counts_as_gone(store: FolderStore, order: Order) -> None:
    Ledger(store, RUN, 1).append("machine_alive", machine="i-1", since=900.0)
    backdate(store, LEDGER, SIGN_OF_LIFE)
    assert launch(order, store, Server()) == "job/1"


def test_a_run_that_was_given_up_is_launched_again_whatever_the_cloud_said_of_its_machines_since(
    store: FolderStore, order: Order
) -> None:
    server = Server()
    launch(order, store, server)
    (*_, launched) = events(store)
    server.up.clear()
    watcher = Ledger(store, RUN, launched["epoch"], name="watch")
    watcher.append("given_up", launches=3, dollars=1.5, reason="3 launches in a row cost $1.50")
    gone = {"machine": "i-1", "since": time.time() - 90, "until": time.time() - 1, "dollars_per_hour": 60.0}
    watcher.append("machine_gone", **gone)
    found = read_status(store, RUN)
    assert (found.state, found.given_up, found.seen) == ("failed", "3 launches in a row cost $1.50", None)
    assert launch(replace(order, again=True), store, server) == "job/2"
    found = read_status(store, RUN)
    assert (found.state, found.given_up, round(found.spent, 2)) == ("waiting", None, 1.48)


DAY = 86400.0
SKEWS = (-400 * DAY, -DAY, -3600.0, -120.0, -5.0, 0.0, 5.0, 120.0, 3600.0, DAY, 400 * DAY)


@pytest.mark.parametrize("skew", SKEWS)
def test_a_word_counts_as_alive_by_the_buckets_clock_whatever_its_writers_says(
    skew: float, store: FolderStore, order: Order
) -> None:
    server = Server()
    Ledger(store, RUN, 1, lambda: time.time() + skew).append("machine_alive", machine="i-1", since=900.0)
    backdate(store, LEDGER, 30)
    with pytest.raises(RefusedError, match="wrote 'machine_alive' 30 s ago"):
        launch(order, store, server)
    backdate(store, LEDGER, SIGN_OF_LIFE)
    assert launch(order, store, server) == "job/1"


@pytest.mark.parametrize("skew", SKEWS)
def test_a_stop_by_any_laptop_ends_what_was_launched_before_and_a_later_launch_follows_it(
    skew: float, store: FolderStore, order: Order
) -> None:
    server = Server()
    launch(order, store, server)
    Ledger(store, RUN, Lease.take(store, RUN).epoch).append("stage_started", stage="data")
    server.up.clear()
    Ledger(store, RUN, Lease.take(store, RUN).epoch, lambda: time.time() + skew).append("stopped", job=1)
    assert read_status(store, RUN).state == "stopped"
    assert launch(replace(order, again=True), store, server) == "job/2"
    assert read_status(store, RUN).state == "waiting"


def test_a_run_of_another_profile_is_refused(store: FolderStore, order: Order) -> None:
    server = Server()
    launch(order, store, server)
    with pytest.raises(ConfigError, match="was started under another profile"):
        launch(replace(order, profile=load_profile("rehearsal", {"seed": 1})), store, server)


def test_stopping_gives_back_and_tells_once_and_resuming_goes_on(store: FolderStore, order: Order) -> None:
    server = Server()
    launch(order, store, server)
    server.up.append("cluster/cortex-r1")  # not the job's: teardown's to end
    assert stop(RUN, store, server) == ("job/1",)
    assert server.up == ["cluster/cortex-r1"] and names(store)[-1] == "stopped" and events(store)[-1]["job"] == 1
    assert stop(RUN, store, server) == ()
    assert names(store).count("stopped") == 1
    server.up.clear()
    assert launch(replace(order, again=True), store, server) == "job/2"
    assert events(store)[-1]["again"] is True


def test_killed_between_cancelling_and_the_ledger_the_next_stop_tells(store: FolderStore, order: Order) -> None:
    server = Server()
    launch(order, store, server)
    server.up.clear()
    assert stop(RUN, store, server) == ()
    assert names(store)[-1] == "stopped"


def test_stopping_a_run_of_another_server_says_what_becomes_of_its_machine(store: FolderStore, order: Order) -> None:
    launch(order, store, Server())
    lease = Lease.take(store, RUN)
    Ledger(store, RUN, lease.epoch).append("machine_alive", machine="i-1", since=900.0)
    backdate(store, LEDGER, 30)
    said: list[str] = []
    sink = logger.add(said.append, format="{message}")
    try:
        assert stop(RUN, store, Server()) == ()
    finally:
        logger.remove(sink)
    [warning] = said
    assert "wrote 'machine_alive' 30 s ago" in warning and "`cortex sweep`" in warning
    with pytest.raises(RefusedError, match="taken over"):
        lease.check()


def test_a_finished_run_is_not_called_stopped(store: FolderStore, release: object, profile: Profile) -> None:
    assert release
    create_run(store, "demo-1", profile)
    Ledger(store, "demo-1", 1).append("launched", job=1)
    assert stop("demo-1", store, Server()) == ()
    assert [event["event"] for event in LedgerReader(store, "demo-1").new_events()] == ["launched"]


def test_an_unknown_run_cannot_be_stopped_and_a_dumb_bucket_keeps_no_machine(
    store: FolderStore, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    with pytest.raises(UsageError, match="no run 'r1'"):
        stop(RUN, store, server)
    launch(order, store, server)

    def dumb(*_: object) -> None:
        raise StoreError("the bucket does not answer")

    monkeypatch.setattr(FolderStore, "list", dumb)
    assert stop(RUN, store, server) == ("job/1",) and server.up == []


def test_a_spent_budget_is_raised_or_refused(store: FolderStore, order: Order) -> None:
    server, order = Server(), replace(order, profile=load_profile("rehearsal", {"budget.dollars": 100}))
    machine = Ledger(store, RUN, 1, lambda: 3600.0)
    machine.append("machine_started", machine="i-1", since=0.0, dollars_per_hour=120.0, spot=True)
    machine.append("machine_ended", machine="i-1", since=0.0, until=3600.0, reason="over budget")
    with pytest.raises(BudgetError, match=r"spent \$120\.00 of its budget of \$100\.00.*resume r1 --budget DOLLARS"):
        launch(order, store, server)
    with pytest.raises(ConfigError, match=r"has spent \$120\.00: --budget 110 is no more"):
        launch(replace(order, budget=110.0), store, server)
    assert launch(replace(order, budget=150.0), store, server) == "job/1"
    assert cap(events(store), 100.0) == 150.0


def test_a_finished_run_is_not_launched_again(store: FolderStore, release: object, order: Order) -> None:
    server = Server()
    for again in (
        lambda: require_unfinished("demo-1", store),
        lambda: launch(replace(order, run="demo-1"), store, server),
    ):
        with pytest.raises(DataError, match="demo-1 is finished: `cortex show demo-1`"):
            again()
    assert not server.submitted


def test_a_folder_is_no_bucket_for_a_cloud() -> None:
    with pytest.raises(ConfigError, match=r"folder /home/me/b,.*CORTEX_BUCKET=s3://.*make infra-up.*make rehearse"):
        require_bucket("/home/me/b")
    require_bucket("s3://b")


def test_a_launch_pins_the_base_that_the_hub_has_now_and_a_later_one_changes_nothing(
    store: FolderStore, order: Order
) -> None:
    pins = [Manifest(kind="base", files=(), meta={"base": "open/model", "revision": c * 40}) for c in "01"]
    server = Server()
    launch(replace(order, base=pins[0]), store, server)
    server.up.clear()
    stop(RUN, store, server)
    launch(replace(order, base=pins[1], again=True), store, server)
    assert find_pin(store, SECRET) == pins[0]


def test_what_a_launch_pins_is_asked_of_the_hub_once(store: FolderStore, log: list[str]) -> None:
    model = Model(base="open/model")
    assert pin_now(store, SECRET, Model(scratch=ScratchModel()), {}) is None
    assert pin_now(store, SECRET, Model(base="./here"), {}) is None
    assert pin_now(store, SECRET, model, {"HF_ENDPOINT": "http://127.0.0.1:9"}) is None
    assert any("the first task that loads open/model will choose its revision" in line for line in log)
    with serving(Hub(TRAINABLE)) as url:
        pin = pin_now(store, SECRET, model, {"HF_ENDPOINT": url})
        with pytest.raises(ConfigError, match="is gated, and HF_TOKEN is not set"):
            pin_now(store, SECRET, Model(base="gated/model"), {"HF_ENDPOINT": url})
    assert pin and pin.meta["revision"] == COMMIT
    bind_pin(store, SECRET, pin)
    assert pin_now(store, SECRET, model, {"HF_ENDPOINT": "http://127.0.0.1:9"}) == pin


DEADLINE = Deadline(2_000_000_000.0, 27.0, 600.0, 900.0, {"data": 0.0, "sft": 3600.0}, ("data", "sft"), True)


def test_a_deadline_is_in_the_ledger_before_any_machine_and_the_status_shows_it(
    order: Order, store: FolderStore
) -> None:
    launch(replace(order, deadline=DEADLINE), store, Server())
    events = LedgerReader(store, RUN).new_events()
    kinds = [event["event"] for event in events]
    assert kinds.index("deadline_set") < kinds.index("launching") and Deadline.read(events) == DEADLINE
    assert "deadline in" in summary(read_status(store, RUN))
    said = {"decision": "stay", "reason": "on demand until the next try at spot is due", "slack": 7200.0}
    Ledger(store, RUN, 9).append("deadline_decision", **said, left=9000.0, need=1800.0)
    shown = read_status(store, RUN)
    assert "on demand until the next try at spot is due; 2.0 h of slack" in summary(shown), summary(shown)
    assert shown.to_json()["deadline"] | {"seconds_left": 0} == {
        "at": DEADLINE.at,
        "hours": 27.0,
        "seconds_left": 0,
        **said,
    }


def test_a_run_that_has_taken_as_long_as_it_may_is_launched_again_only_with_more(
    order: Order, store: FolderStore
) -> None:
    profile = with_overrides(order.profile, {"budget.max_duration": 10})
    order, server = replace(order, profile=profile), Server()
    create_run(store, RUN, profile)
    long_ago = Ledger(store, RUN, 1, clock=lambda: time.time() - 11 * 3600)
    long_ago.append("launching", name="n", owner="ada")
    long_ago.append("stopped")
    with pytest.raises(BudgetError, match="launched 10 hours ago, which is its max_duration"):
        launch(order, store, server)
    with pytest.raises(ConfigError, match=r"was launched 11\.0 hours ago: --max-duration 10\.5 is no more"):
        launch(replace(order, max_duration=10.5), store, server)
