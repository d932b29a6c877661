"""One bed for all tests here: raised once, and taken down at the end."""

import json
import subprocess
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cortex.errors import ConfigError
from cortex.fleet.clouds.job_names import run_label
from tests.conftest import EXPECTED
from tests.testbed.bed import Bed, check_machine
from tests.testbed.cloud import BUCKET
from tests.testbed.footprint import Footprint
from tests.testbed.place import Place
from tests.testbed.rootfs import USER

PATIENCE = 1200
"""Seconds to wait for what takes a minute on an idle machine."""


@dataclass(frozen=True)
class Inside:
    """Runs programs in a bed, and reads what they print."""

    bed: Bed

    @property
    def bucket(self) -> str:
        """The bucket of the bed's runs."""
        return f"s3://{BUCKET}"

    @property
    def folder(self) -> Path:
        """The folder of a test's files that programs in the bed read."""
        path = self.bed.place.home / "tests"
        path.mkdir(exist_ok=True)
        return path

    def run(self, *words: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.bed.command(words),
            env=self.bed.variables() | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def succeed(self, *words: str | Path) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def python(self, text: str, *words: str | Path) -> str:
        return self.succeed("python", "-c", text, *words)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def object(self, key: str) -> str | None:
        """Text that a machine wrote into the bed's bucket; None until it has."""
        done = self.run("python", "-c", READ, f"s3://{BUCKET}", key)
        assert done.returncode == 0 or "MissingObjectError" in done.stderr, done.stderr
        return done.stdout if done.returncode == 0 else None

    def file(self, machine: str, name: str) -> Path:
        """A file of the user's home on a machine, also on one that is gone."""
        return self.bed.place.machines / machine / "upper" / "home" / USER / name

    def restart_skypilot(self) -> None:
        """Stop SkyPilot's server, whatever it is at, and start it again."""
        self.succeed("sky", "api", "stop")
        # `sky api start` may give up on a server that a busy machine starts too slowly.
        self.run("sky", "api", "start")
        until(lambda: self.run("python", "-c", ANSWERS).returncode == 0, "SkyPilot's return")

    def machines(self) -> list[dict[str, Any]]:
        return self.bed.status()["machines"]

    def events(self) -> list[dict[str, Any]]:
        """Events of all machines, in order."""
        return [json.loads(line) for line in (self.bed.place.logs / "machines.jsonl").read_text().splitlines()]

    def billed(self, run: str) -> dict[str, float]:
        """Dollars that the cloud bills for each machine of a run, all of which are gone."""
        found = [event for event in self.events() if event["run"] == run_label(run)]
        ends = {event["machine"]: event["billed_until"] for event in found if "billed_until" in event}
        booted = [event for event in found if event["event"] == "booted"]
        return {
            event["machine"]: (ends[event["machine"]] - event["launched"]) / 3600 * event["price"] for event in booted
        }

    def charged(self, run: str) -> dict[str, Any]:
        """A run's cost by its ledger, once its watcher has seen the last of its machines go."""

        def settled() -> dict[str, Any] | None:
            found = json.loads(self.succeed("cortex", "cost", run, "--json"))
            known = {machine["machine"] for machine in found["machines"] if machine["gone"]}
            return found if self.billed(run).keys() == known else None

        return until(settled, f"the end of all machines of {run} in its ledger", every=3)

    def jobs(self) -> dict[str, str]:
        """The state of each managed job, by name."""
        found = self.python(JOBS).splitlines()[-1]
        return json.loads(found)


READ = """
import sys
from cortex.artifacts.store import Store
from cortex.artifacts.open_store import open_store
print(open_store(sys.argv[1]).get(sys.argv[2]).decode(), end="")
"""

ANSWERS = """
import sys
from tests.testbed.skypilot import answers
sys.exit(not answers())
"""

RUNNING = """
import boto3
for region in ("us-east-1", "us-west-2"):
    for reservation in boto3.client("ec2", region_name=region).describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            if instance["State"]["Name"] in ("pending", "running"):
                print(instance["InstanceId"])
"""

JOBS = """
import json, sky
from sky import jobs
records = sky.get(jobs.queue_v2(refresh=False))[0]
print(json.dumps({record.job_name: record.status.value for record in records}))
"""


def until(look: Callable[[], Any], what: str, every: float = 1) -> Any:
    """Wait for something to come true, and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(every)
    return found


@pytest.fixture(scope="session")
def footprint() -> Footprint:
    """State of this machine before there was a bed."""
    return Footprint.take()


@pytest.fixture(scope="session")
def bed(footprint: Footprint) -> Generator[Bed]:
    """A bed apart from the one that a contributor may have up; it takes over that one's cache."""
    assert footprint
    try:
        check_machine()
    except ConfigError as error:
        pytest.skip(f"{EXPECTED}{error}")
    usual = Place.default()
    place = Place(usual.root.with_name("testbed-tests"))
    usual.cache.mkdir(parents=True, exist_ok=True)
    place.root.mkdir(exist_ok=True)
    if not place.cache.is_symlink():
        place.cache.symlink_to(usual.cache)
    bed = Bed(place)
    bed.down()
    bed.up()
    yield bed
    bed.down()


@pytest.fixture(scope="session")
def inside(bed: Bed) -> Inside:
    return Inside(bed)
