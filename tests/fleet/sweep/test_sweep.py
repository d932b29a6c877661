"""`cortex sweep` against moto's EC2."""

import json
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from typer.testing import CliRunner, Result

from cortex.artifacts.folder_store import FolderStore
from cortex.cli import app
from cortex.errors import CortexError, RefusedError, UsageError
from cortex.fleet.clouds.job_names import BUCKET_TAG, OWNER_TAG, RUN_TAG, bucket_label
from cortex.fleet.sweep.ec2 import Thing
from cortex.fleet.sweep.sweep import WATCH, destroy, look
from cortex.profiles.profile import Profile
from cortex.runs.context import create_run
from cortex.runs.ledger import Ledger, folder
from cortex.runs.price_list import Offer, PriceList
from cortex.settings import CHECKOUT
from tests.conftest import Cortex
from tests.fleet.conftest import RUN
from tests.fleet.services import Answer, Aws, Request, serving

pytestmark = pytest.mark.integration

EAST, WEST = "us-east-1", "us-west-2"
DENIED = b"<Response><Errors><Error><Code>AuthFailure</Code><Message>no</Message></Error></Errors></Response>"


@dataclass
class Account:
    """The emulated account's machines, disk and address."""

    cloud: Aws
    machines: dict[str, str] = field(default_factory=dict)
    disk: str = ""
    address: str = ""

    def client(self, region: str) -> Any:
        return boto3.client("ec2", region_name=region)

    def start(self, name: str, region: str, run: str | None, **further: str) -> None:
        image = self.client(region).describe_images()["Images"] or [{"ImageId": "ami-12c6146b"}]
        tags = further | ({RUN_TAG: run, OWNER_TAG: "ada"} if run else {})
        made = self.client(region).run_instances(
            ImageId=image[0]["ImageId"],
            MinCount=1,
            MaxCount=1,
            InstanceType="g6.xlarge",
            TagSpecifications=[{"ResourceType": "instance", "Tags": listed(tags)}] if tags else [],
        )
        self.machines[name] = made["Instances"][0]["InstanceId"]

    def running(self) -> set[str]:
        """Names, given by the test, of the machines that run."""
        ids = {
            instance["InstanceId"]
            for region in (EAST, WEST)
            for reservation in self.client(region).describe_instances()["Reservations"]
            for instance in reservation["Instances"]
            if instance["State"]["Name"] == "running"
        }
        return {name for name, found in self.machines.items() if found in ids}


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@pytest.fixture
def account(cloud: Aws, store: FolderStore, profile: Profile) -> Account:
    """An account with left-overs of a run, machines that another run still needs, and other people's resources."""
    account = Account(cloud)
    account.start("left", EAST, RUN)
    account.start("left too", WEST, RUN)
    account.start("alive", EAST, "demo-2")
    account.start("foreign", EAST, "of-another-bucket")
    account.start("somebody's", EAST, None)
    account.start("controller", EAST, RUN, **{"skypilot-cluster-name": "sky-jobs-controller-1234-1234"})
    east = account.client(EAST)
    tags = [{"ResourceType": "volume", "Tags": listed({RUN_TAG: RUN})}]
    account.disk = east.create_volume(AvailabilityZone=f"{EAST}a", Size=100, TagSpecifications=tags)["VolumeId"]
    east.create_volume(AvailabilityZone=f"{EAST}a", Size=7)
    tags[0]["ResourceType"] = "elastic-ip"
    account.address = east.allocate_address(TagSpecifications=tags)["AllocationId"]
    east.allocate_address()
    for run in (RUN, "demo-2"):
        create_run(store, run, profile)
    Ledger(store, RUN, 1).append("launched", job=1)
    Ledger(store, "demo-2", 1).append("machine_alive", machine=account.machines["alive"], until=0)
    price = Offer(cloud="aws", region=EAST, instance_type="g6.xlarge", spot=False, dollars_per_hour=1.25)
    PriceList(taken=0, offers=(price,)).write(store, RUN)
    return account


def age(store: FolderStore, run: str, epoch: int, seconds: float) -> None:
    """Backdate an epoch's entries in the run's ledger, as the bucket dates them."""
    for entry in store.list(folder(run)):
        if f"/{epoch:08d}-" not in entry.key:
            continue
        os.utime(store.local_path(entry.key), (entry.modified - seconds, entry.modified - seconds))


def stopped_long_ago(store: FolderStore, account: Account) -> None:
    """Both machines said that they end, an hour ago."""
    ledger = Ledger(store, RUN, 2)
    for name in ("left", "left too"):
        ledger.append("machine_ended", machine=account.machines[name], until=0, reason="done")
    age(store, RUN, 2, 3600)


@contextmanager
def clouds_time(account: Account, monkeypatch: pytest.MonkeyPatch, ahead: float) -> Generator[None]:
    """Set EC2's clock ahead by so many seconds."""

    def respond(request: Request) -> Answer:
        answer = httpx.post(account.cloud.url, content=request.body, headers={**request.headers, "Host": "ec2"})
        return answer.status_code, {"Content-Type": "text/xml"}, answer.content

    with serving(respond, lambda: time.time() + ahead) as url, monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url)
        yield


def cut_off_in_its_release(store: FolderStore, account: Account) -> None:
    """The machine was cut off while it published the run's release, an hour ago, and still stands."""
    ledger = Ledger(store, RUN, 2)
    ledger.append("stage_started", stage="release")
    ledger.append("machine_alive", machine=account.machines["left"])
    ledger.append("machine_ended", machine=account.machines["left"], reason="RefusedError")
    age(store, RUN, 2, 3700)


Swept = Callable[..., Result]


@pytest.fixture
def sweep(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> Swept:
    """`cortex sweep WORDS...` in both regions, without a terminal."""
    monkeypatch.setenv("CORTEX_BUCKET", store.url)
    monkeypatch.setattr("cortex.fleet.sweep.sweep.WATCH", 0.0)
    return lambda *words: CliRunner().invoke(app, ["sweep", "--region", EAST, "--region", WEST, *words])


def test_it_lists_what_no_live_run_needs_and_ends_it_when_told(
    sweep: Swept, account: Account, store: FolderStore
) -> None:
    assert json.loads(sweep("--json").stdout)["live"] == 5, "what was started just now counts as live"
    stopped_long_ago(store, account)
    listed = sweep("--json")
    assert listed.exit_code == 0 and "Google Cloud and Azure are not looked at" in listed.stderr
    found = {entry["id"]: entry for entry in json.loads(listed.stdout)["found"]}
    left, foreign = account.machines["left"], account.machines["foreign"]
    assert set(found) == {left, account.machines["left too"], foreign}
    assert found[left]["run"] == RUN and found[left]["owner"] == "ada" and found[left]["dollars_per_hour"] == 1.25
    assert found[foreign]["foreign"] and found[foreign]["why"] == "of another bucket"

    refused = sweep("--destroy").exception
    assert isinstance(refused, RefusedError) and "--yes" in str(refused) and "left" in account.running()
    done = sweep("--destroy", "--yes")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.count(": destroyed\n") == 2 and f"machine {left}: destroyed" in done.stdout
    assert account.running() == {"alive", "foreign", "somebody's", "controller"}
    assert sweep("--destroy", "--yes").stdout.count("destroyed") == 0
    assert sweep("--destroy", "--yes", "--foreign").stdout.count(": destroyed\n") == 1
    assert account.running() == {"alive", "somebody's", "controller"}


def test_disks_and_addresses_go_with_their_run(
    store: FolderStore, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clouds_time(account, monkeypatch, 8 * 3600):
        found = look(store, [EAST]).found
        kinds = {leftover.thing.kind: leftover.thing.id for leftover in found if leftover.run == RUN}
        assert kinds == {"machine": account.machines["left"], "disk": account.disk, "address": account.address}
        confirmed = [leftover for leftover in found if leftover.run == RUN]
        assert all(fault is None for _, fault in destroy(confirmed, store, [EAST], lambda seconds: None))
        east = account.client(EAST)
        assert [volume["Size"] for volume in east.describe_volumes()["Volumes"] if volume["State"] == "available"] == [
            7
        ]
        assert len(east.describe_addresses()["Addresses"]) == 1
        again = list(destroy(confirmed, store, [EAST], lambda seconds: None))
    assert {fault for _, fault in again} == {"it is gone already, or its run is alive again"}


@pytest.mark.parametrize("skew", [sign * size for size in (60, 3600, 7 * 86400) for sign in (1, -1)])
def test_a_wrong_clock_here_ends_no_live_machine_and_hides_no_dead_one(
    skew: float, cortex: Cortex, store: FolderStore, account: Account, tmp_path: Path
) -> None:
    stopped_long_ago(store, account)
    wrong = f"import time\nright = time.time\ntime.time = lambda: right() + {skew}\n"
    (tmp_path / "sitecustomize.py").write_text(wrong)
    python = f"{tmp_path}{os.pathsep}{CHECKOUT}"
    swept = cortex("sweep", "--region", EAST, "--json", CORTEX_BUCKET=store.url, PYTHONPATH=python)
    found = {entry["id"] for entry in json.loads(swept.stdout)["found"] if not entry["foreign"]}
    assert found == {account.machines["left"]}, swept.stderr


def test_what_may_hold_the_only_copy_of_a_release_is_ended_by_abandon_alone(
    sweep: Swept, account: Account, store: FolderStore
) -> None:
    cut_off_in_its_release(store, account)
    (found,) = [entry for entry in json.loads(sweep("--json").stdout)["found"] if not entry["foreign"]]
    assert found["id"] == account.machines["left"] and "the only copy" in found["keeps"]
    spared = sweep("--destroy", "--yes")
    assert spared.exit_code == 0 and "--abandon" in spared.stderr and "destroyed" not in spared.stdout
    assert "left" in account.running()
    let_go = sweep("--destroy", "--yes", "--abandon")
    assert let_go.stdout.count(": destroyed\n") == 1 and "left" not in account.running()


def test_what_writes_again_while_it_is_watched_is_left_alone(store: FolderStore, account: Account) -> None:
    stopped_long_ago(store, account)
    confirmed = [leftover for leftover in look(store, [EAST, WEST]).found if leftover.run == RUN]
    watched = list[float]()

    def reach_the_bucket(seconds: float) -> None:
        watched.append(seconds)
        Ledger(store, RUN, 3).append("machine_alive", machine=account.machines["left"])

    faults = {each.thing.id: fault for each, fault in destroy(confirmed, store, [EAST, WEST], reach_the_bucket)}
    assert watched == [WATCH] and "alive again" in str(faults[account.machines["left"]])
    assert faults[account.machines["left too"]] is None
    assert {"left", "alive"} <= account.running() and "left too" not in account.running()


def test_what_came_to_hold_a_release_meanwhile_is_left_alone(store: FolderStore, account: Account) -> None:
    stopped_long_ago(store, account)
    confirmed = [leftover for leftover in look(store, [EAST]).found if leftover.run == RUN]
    cut_off_in_its_release(store, account)
    (fault,) = [fault for _, fault in destroy(confirmed, store, [EAST], lambda seconds: None)]
    assert "the only copy" in str(fault) and "left" in account.running()


def test_without_its_bucket_everything_is_listed_and_nothing_ended(
    sweep: Swept, account: Account, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_long_ago(store, account)
    monkeypatch.setenv("CORTEX_BUCKET", "s3://gone")
    before = account.running()
    listed = sweep("--destroy", "--yes", "--foreign", "--json")
    found = json.loads(listed.stdout)["found"]
    assert {account.machines["left"], account.machines["alive"]} <= {entry["id"] for entry in found}
    assert all("nobody can tell" in entry["keeps"] for entry in found)
    assert isinstance(listed.exception, CortexError) and account.running() == before


def test_a_machine_of_another_buckets_run_of_the_same_id_is_that_ones(store: FolderStore, account: Account) -> None:
    stopped_long_ago(store, account)
    account.start("twin", EAST, RUN, **{BUCKET_TAG: bucket_label("s3://another")})
    account.start("ours", EAST, RUN, **{BUCKET_TAG: bucket_label(store.url)})
    Ledger(store, RUN, 3).append("machine_ended", machine=account.machines["ours"])
    Ledger(store, RUN, 3, name="twin").append("machine_ended", machine=account.machines["twin"])
    age(store, RUN, 3, 3600)
    found = {leftover.thing.id: leftover for leftover in look(store, [EAST]).found}
    assert found[account.machines["twin"]].foreign and not found[account.machines["ours"]].foreign


def test_a_spoilt_price_list_hides_no_machine(store: FolderStore, account: Account) -> None:
    stopped_long_ago(store, account)
    store.put(f"runs/{RUN}/prices.json", b"{}")
    found = [leftover for leftover in look(store, [EAST]).found if leftover.run == RUN]
    assert [(leftover.thing.id, leftover.dollars_per_hour) for leftover in found] == [(account.machines["left"], None)]


def test_what_cannot_be_looked_at_again_is_not_called_gone(
    store: FolderStore, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_long_ago(store, account)
    confirmed = [leftover for leftover in look(store, [EAST]).found if leftover.run == RUN]

    def silent(clients: object, region: str) -> tuple[list[Thing], float]:
        raise CortexError(f"{region}: no answer")

    monkeypatch.setattr("cortex.fleet.sweep.sweep.tagged", silent)
    assert [fault for _, fault in destroy(confirmed, store, [EAST], lambda seconds: None)] == ["us-east-1: no answer"]
    assert "left" in account.running()


def test_a_region_that_does_not_answer_is_told_and_hides_nothing(
    sweep: Swept, account: Account, store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_long_ago(store, account)

    def respond(request: Request) -> Answer:
        if f"/{WEST}/ec2/" in request.authorization:
            return 403, {}, DENIED
        answer = httpx.post(account.cloud.url, content=request.body, headers={**request.headers, "Host": "ec2"})
        return answer.status_code, {"Content-Type": "text/xml"}, answer.content

    with serving(respond) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        swept = sweep()
    assert account.machines["left"] in swept.stdout
    assert isinstance(swept.exception, CortexError) and "could not look everywhere: us-west-2" in str(swept.exception)


@pytest.mark.usefixtures("account")
def test_an_unknown_region_is_a_usage_error(sweep: Swept) -> None:
    wrong = sweep("--region", "us-wesst-2").exception
    assert isinstance(wrong, UsageError) and "did you mean 'us-west-2'" in str(wrong)


@pytest.mark.usefixtures("cloud")
def test_without_credentials_it_says_what_it_needs(cortex: Cortex) -> None:
    with serving(lambda request: (401, {}, DENIED)) as url:
        refused = cortex("sweep", AWS_ENDPOINT_URL=url)
    assert refused.returncode == 78 and "Traceback" not in refused.stderr
    assert "AWS credentials with ec2:Describe" in refused.stderr and refused.stderr.count("\n") == 1
