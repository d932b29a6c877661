"""`cortex sweep` against the fake cloud: what dead runs left standing is found and ended, and nothing else is."""

import json

from cortex.fleet.clouds.job_names import RUN_TAG
from tests.testbed.conftest import Inside, until

REGION = "us-west-2"

PLANT = """
import json, sys, time
import boto3
from cortex.artifacts.store import Store
from cortex.artifacts.open_store import open_store
from cortex.runs.context import create_run
from cortex.runs.ledger import Ledger
from cortex.profiles.profile_file import load_profile

bucket, region, tag = sys.argv[1:]
ec2, store = boto3.client("ec2", region_name=region), open_store(bucket)
(image,) = ec2.describe_images(Owners=["self"])["Images"]

def tags(kind, run):
    return [{"ResourceType": kind, "Tags": [{"Key": tag, "Value": run}]}]

def machine(run):
    wanted = {"ImageId": image["ImageId"], "InstanceType": "m6i.xlarge", "MinCount": 1, "MaxCount": 1}
    return ec2.run_instances(**wanted, TagSpecifications=tags("instance", run))["Instances"][0]["InstanceId"]

def disk(run):
    wanted = {"AvailabilityZone": f"{region}a", "Size": 8, "TagSpecifications": tags("volume", run)}
    return ec2.create_volume(**wanted)["VolumeId"]

def address(run):
    return ec2.allocate_address(Domain="vpc", TagSpecifications=tags("elastic-ip", run))["AllocationId"]

planted = {"dead": [machine("dead"), address("dead")], "alive": [machine("alive")], "foreign": [disk("another-bucket")]}
for run in ("dead", "alive"):
    create_run(store, run, load_profile("rehearsal"))
time.sleep(2)  # the bucket counts whole seconds: what ends comes after what was started
dead = Ledger(store, "dead", 1)
dead.append("machine_ended", machine=planted["dead"][0], since=dead.clock() - 60, until=dead.clock(), reason="done")
dead.append("teardown", machines=[])
print(json.dumps(planted))
"""

SWEEP = """
import sys
from cortex.cli import main
from cortex.fleet.sweep import standing

standing.GRACE = 0.0  # the bucket's clock cannot be put back: what was torn down a moment ago counts as over
sys.argv[0] = "cortex"
main()
"""

END = """
import sys
import boto3
ec2 = boto3.client("ec2", region_name=sys.argv[1])
ec2.terminate_instances(InstanceIds=sys.argv[2:])
"""


def test_what_dead_runs_left_is_ended_and_nothing_else(inside: Inside) -> None:
    before = {machine["id"] for machine in inside.machines()}
    planted = json.loads(inside.python(PLANT, inside.bucket, REGION, RUN_TAG).splitlines()[-1])
    found = found_by_sweep(inside)
    assert {name: [thing["foreign"] for thing in found if thing["id"] in ids] for name, ids in planted.items()} == {
        "dead": [False, False],
        "alive": [],
        "foreign": [True],
    }
    refused = inside.run("python", "-c", SWEEP, "sweep", "--region", REGION, "--destroy")
    assert refused.returncode == 77 and "--yes" in refused.stderr

    ended = inside.succeed("python", "-c", SWEEP, "sweep", "--region", REGION, "--destroy", "--yes")
    assert all(f"{thing}: destroyed" in ended for thing in planted["dead"])
    assert {thing["id"] for thing in found_by_sweep(inside)} & {*planted["dead"], *planted["foreign"]} == set(
        planted["foreign"]
    )
    until(lambda: {machine["id"] for machine in inside.machines()} == before | set(planted["alive"]), "its end")
    inside.succeed("python", "-c", SWEEP, "sweep", "--region", REGION, "--destroy", "--yes", "--foreign")
    assert not {thing["id"] for thing in found_by_sweep(inside)} & set(planted["foreign"])
    inside.python(END, REGION, *planted["alive"])


def found_by_sweep(inside: Inside) -> list[dict[str, object]]:
    return json.loads(inside.succeed("python", "-c", SWEEP, "sweep", "--region", REGION, "--json"))["found"]
