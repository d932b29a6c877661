"""`cortex sweep` against moto's EC2."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import boto3
import httpx
import pytest
from typer.testing import CliRunner, Result

from cortex.artifacts.folder_store import FolderStore
from cortex.cli import app
from cortex.errors import CortexError, RefusedError, UsageError
from cortex.fleet.names import OWNER_TAG, RUN_TAG
from cortex.fleet.sweep.sweep import destroy, look
from cortex.runs.context import create_run
from cortex.runs.ledger import Ledger
from cortex.runs.prices import Offer, PriceList
from cortex.runs.profile import Profile
from tests.conftest import Cortex
from tests.fleet.conftest import RUN
from tests.fleet.services import Answer, Aws, Request, serving

EAST, WEST = "us-east-1", "us-west-2"
DENIED = b"<Response><Errors><Error><Code>AuthFailure</Code><Message>no</Message></Error></Errors></Response>"


@dataclass
class Account:
    """What stands in the emulated account."""

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
        """By the names that the test gave."""
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
    """What a run may have left, what another still needs, and what is nobody's business."""
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


def stopped_long_ago(store: FolderStore, account: Account) -> None:
    """Both machines said goodbye, an hour before they do now."""
    ledger = Ledger(store, RUN, 2, clock=lambda: time.time() - 3600)
    for name in ("left", "left too"):
        ledger.append("machine_ended", machine=account.machines[name], until=0, reason="done")


Swept = Callable[..., Result]


@pytest.fixture
def sweep(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> Swept:
    """`cortex sweep WORDS...` in both regions, where nobody can type."""
    monkeypatch.setenv("CORTEX_BUCKET", store.url)
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


def test_disks_and_addresses_go_with_their_run(store: FolderStore, account: Account) -> None:
    later = time.time() + 5 * 3600
    found = look(store, [EAST], lambda: later).found
    kinds = {leftover.thing.kind: leftover.thing.id for leftover in found if leftover.run == RUN}
    assert kinds == {"machine": account.machines["left"], "disk": account.disk, "address": account.address}
    confirmed = [leftover for leftover in found if leftover.run == RUN]
    assert all(fault is None for _, fault in destroy(confirmed, store, [EAST], lambda: later))
    east = account.client(EAST)
    assert [volume["Size"] for volume in east.describe_volumes()["Volumes"] if volume["State"] == "available"] == [7]
    assert len(east.describe_addresses()["Addresses"]) == 1
    again = list(destroy(confirmed, store, [EAST], lambda: later))
    assert {fault for _, fault in again} == {"it is gone already, or its run is alive again"}


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
    assert isinstance(swept.exception, CortexError) and "could not look in us-west-2" in str(swept.exception)


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
