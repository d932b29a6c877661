"""A run's machines as EC2 records them, by moto's EC2."""

import time
from datetime import UTC, datetime
from typing import Any

import boto3
import httpx
import pytest

from cortex.errors import CortexError
from cortex.fleet.clouds.job_names import BUCKET_TAG, RUN_TAG, bucket_label
from cortex.fleet.watch.rentals import end, read_rental, rentals
from tests.fleet.services import Answer, Aws, Request, hanging, serving

pytestmark = pytest.mark.integration

EAST, WEST = "us-east-1", "us-west-2"
BUCKET = "s3://bucket/runs"
CLOSED = b"<Response><Errors><Error><Code>AuthFailure</Code><Message>no</Message></Error></Errors></Response>"
MINE = {RUN_TAG: "demo-1", BUCKET_TAG: bucket_label(BUCKET)}


def start(region: str, tags: dict[str, str]) -> str:
    made = boto3.client("ec2", region_name=region).run_instances(
        ImageId="ami-12c6146b",
        MinCount=1,
        MaxCount=1,
        InstanceType="g6.xlarge",
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ],
    )
    return made["Instances"][0]["InstanceId"]


@pytest.mark.usefixtures("cloud")
def test_a_runs_machines_are_found_by_both_tags_whether_they_stand_or_are_gone() -> None:
    east, west = start(EAST, MINE | {"skypilot-head-node": "1"}), start(WEST, MINE)
    start(EAST, {RUN_TAG: "demo-1"})
    start(EAST, MINE | {BUCKET_TAG: "another"})
    began = time.time()
    found, now = rentals("demo-1", BUCKET, [WEST, EAST])
    assert abs(now - began) < 60
    standing = {rental.machine: rental for rental in found}
    assert standing.keys() == {east, west} and all(rental.standing for rental in found)
    assert (standing[east].head, standing[west].head, standing[west].region) == (True, False, WEST)
    assert abs(standing[east].launched - began) < 60 and standing[east].instance_type == "g6.xlarge"

    end(standing[east])
    end(standing[east])
    gone = {rental.machine: rental for rental in rentals("demo-1", BUCKET, [WEST, EAST])[0]}
    assert (gone[east].standing, gone[east].taken, gone[west].standing) == (False, False, True)
    assert abs((gone[east].ended or 0.0) - time.time()) < 60


@pytest.mark.usefixtures("cloud")
def test_one_that_has_lost_its_tags_is_found_by_its_id() -> None:
    machine = start(EAST, {"Name": "was one"})
    assert [rental.machine for rental in rentals("demo-1", BUCKET, [EAST], [machine, "i-0000000000000000f"])[0]] == [
        machine
    ]
    assert rentals("demo-1", BUCKET, [], [machine]) == ([], 0.0)


def test_a_region_that_does_not_tell_is_no_region_without_machines(cloud: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    start(EAST, MINE)
    monkeypatch.setattr("cortex.fleet.watch.rentals.ANSWER_SECONDS", 0.3)
    with hanging() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(CortexError, match="EC2 in us-east-1 does not tell the machines of run demo-1: "):
            rentals("demo-1", BUCKET, [EAST])
    assert cloud.url


def test_a_region_that_is_closed_to_the_account_has_none_unless_all_are(
    cloud: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = start(EAST, MINE)

    def respond(request: Request) -> Answer:
        if f"/{WEST}/ec2/" in request.authorization:
            return 401, {"Content-Type": "text/xml"}, CLOSED
        answer = httpx.post(cloud.url, content=request.body, headers={**request.headers, "Host": "ec2"})
        return answer.status_code, {"Content-Type": "text/xml"}, answer.content

    with serving(respond) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        assert [rental.machine for rental in rentals("demo-1", BUCKET, [EAST, WEST])[0]] == [machine]
        with pytest.raises(CortexError, match=r"EC2 in us-west-2 does not tell .*AuthFailure"):
            rentals("demo-1", BUCKET, [WEST])


@pytest.mark.parametrize(
    ("state", "reason", "code", "standing", "ended", "taken"),
    [
        ("pending", "", "", True, None, False),
        ("running", "", "", True, None, False),
        ("shutting-down", "User initiated (2026-11-27 21:00:00 GMT)", "Client.User", False, 1795813200.0, False),
        ("terminated", "User initiated (2026-11-27 21:00:00 GMT)", "Client.User", False, 1795813200.0, False),
        ("terminated", "Server.SpotInstanceTermination", "Server.SpotInstanceTermination", False, None, True),
        ("stopped", "", "Server.SpotInstanceShutdown", False, None, True),
        ("terminated", "Server.InternalError", "Server.InternalError", False, None, True),
    ],
)
def test_how_a_machine_ended_is_the_clouds_word(
    state: str, reason: str, code: str, standing: bool, ended: float | None, taken: bool
) -> None:
    described: dict[str, Any] = {
        "InstanceId": "i-1",
        "InstanceType": "g6.xlarge",
        "InstanceLifecycle": "spot",
        "Placement": {"AvailabilityZone": "us-east-1a"},
        "LaunchTime": datetime(2026, 11, 27, 20, tzinfo=UTC),
        "State": {"Name": state},
        "StateTransitionReason": reason,
        **({"StateReason": {"Code": code, "Message": ""}} if code else {}),
    }
    found = read_rental(described, "us-east-1")
    assert (found.standing, found.ended, found.taken, found.spot) == (standing, ended, taken, True)
