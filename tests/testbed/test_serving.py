"""`cortex serve` and `cortex unserve`: SkyServe's replicas under load, one reclaimed, and a release rolled on.

The replicas' program is `replica.py`, since the bed's machines have no GPU and pull no image. What is counted is what a
client sees, who tries again after a failure.
"""

import json
import os
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex.fleet.clouds.job_names import cluster_name
from cortex.settings import CHECKOUT
from tests.testbed.conftest import RUNNING, Inside, until

HERE = CHECKOUT / "tests" / "testbed"

RELEASE = """
import sys
from pathlib import Path
from cortex.artifacts.artifact import publish
from cortex.artifacts.open_store import open_store
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run
bucket, run, folder = sys.argv[1:]
store = open_store(bucket)
create_run(store, run, load_profile("rehearsal"))
(made := Path(folder, "model")).mkdir(parents=True)
(made / "config.json").write_text("{}")
(made / "model.safetensors").write_bytes(run.encode())
publish(Path(folder), store, f"runs/{run}/release", kind="release")
"""

STATE = """
import json, sys
from cortex.fleet.launch.services import SkyPilotServices
found = SkyPilotServices().find(sys.argv[1])
print(json.dumps(found and {"status": found.status, "replicas": found.replicas, "endpoint": found.endpoint}))
"""


ASKED_FOR = pytest.mark.skipif(
    "CORTEX_FULL" not in os.environ,
    reason="expected: takes ten minutes and more: make test TIER=testbed FULL=1",
)


@ASKED_FOR
def test_a_reclaimed_replica_loses_no_answer_and_is_replaced(inside: Inside) -> None:
    run = "served-one"
    with serving(inside, run, least=2) as endpoint, load(inside, run, endpoint) as asked:
        taken = replicas(inside, run)[0]
        until(lambda: {each["answer"]["machine"] for each in answers(asked)} == {*replicas(inside, run)}, "answers")
        at, before = time.time(), len(answers(asked))
        inside.bed.reclaim(taken)
        until(lambda: taken not in replicas(inside, run), "the end of the machine")
        until(lambda: len(replicas(inside, run)) == 2 and ready(inside, run) == 2, "its replacement", every=5)
        until(
            lambda: {each["answer"]["machine"] for each in answers(asked)[before:]} >= {*replicas(inside, run)},
            "its work",
        )
    told = answers(asked)
    failed = [each for each in told if each["faults"]]
    late = max(each["seconds"] for each in told)
    print(f"reclaimed: {len(told)} requests, {len(failed)} failed and asked again, slowest {late:.0f} s")
    # SkyServe repeats what gets no answer. It fails a request whose three tries all go to the lost machine, as they may
    # until a probe fails and the load balancer looks again.
    assert len(failed) <= 2 * WORKERS and all(each["began"] < at + NOTICED for each in failed), failed


@ASKED_FOR
def test_a_release_is_rolled_on_without_a_lost_request(inside: Inside) -> None:
    old, new = "served-old", "served-new"
    with serving(inside, old, least=1) as endpoint, load(inside, old, endpoint) as asked:
        first = replicas(inside, old)
        publish(inside, new)
        rolled = serve(inside, new, "--service", cluster_name(old), least=1)
        assert f"{cluster_name(old)} gets run {new}" in rolled
        until(lambda: [each["answer"]["run"] for each in answers(asked)[-WORKERS:]] == [new] * WORKERS, "its answers")
        until(
            lambda: not {*first} & {machine["id"] for machine in inside.machines()}, "the end of the old one", every=5
        )
        until(lambda: len(answers(asked)) >= REQUESTS, "answers", every=5)
    told = answers(asked)
    print(f"rolled: {len(told)} requests, {sum(each['answer']['run'] == new for each in told)} to the new release")
    assert not [each for each in told if each["faults"]]


NOTICED = 60
"""Most seconds until the load balancer knows that a replica is gone."""

REQUESTS = 10_000
"""Fewest requests of which a rolling update may lose none."""

WORKERS = 16
SECONDS = 0.5
"""Seconds that a replica takes to answer."""


@contextmanager
def serving(inside: Inside, run: str, *, least: int) -> Generator[str]:
    """A service of the run with as many ready replicas, which ends afterwards, and leaves nothing standing."""
    before = {*inside.python(RUNNING).split()}
    publish(inside, run)
    serve(inside, run, least=least)
    until(lambda: ready(inside, run) == least, "ready replicas", every=5)
    yield state(inside, run)["endpoint"]
    assert f"service/{cluster_name(run)}: destroyed" in inside.succeed("cortex", "unserve", cluster_name(run))
    assert {*inside.python(RUNNING).split()} == before
    assert "nothing to end" in inside.succeed("cortex", "unserve", cluster_name(run))
    assert inside.succeed("cortex", "teardown", run, "--abandon", "--confirm", run).startswith("nothing to destroy")


@contextmanager
def load(inside: Inside, run: str, endpoint: str) -> Generator[Path]:
    """Clients that ask one request after the other, and try a failed one again; yields the file of what they got."""
    (folder := inside.folder / f"load-{run}").mkdir()
    words = ["python", HERE / "load.py", endpoint, str(WORKERS), folder]
    # The load balancer learns of ready replicas every twenty seconds.
    patience = ["--max-time", "20", "--retry", "60", "--retry-delay", "1", "--retry-all-errors"]
    inside.succeed("curl", "-sfS", *patience, "-d", "{}", f"{endpoint}/answer")
    with subprocess.Popen(inside.bed.command(words), env=inside.bed.variables()) as process:
        try:
            yield folder / "requests.jsonl"
        finally:
            (folder / "stop").touch()
            assert process.wait() == 0


def publish(inside: Inside, run: str) -> None:
    inside.python(RELEASE, inside.bucket, run, inside.folder / f"release-{run}")


def serve(inside: Inside, run: str, *words: str, least: int) -> str:
    """Serve on bare machines, by the shipped file but for what a GPU and an image need, and for its patience."""
    document = yaml.safe_load((CHECKOUT / "jobs" / "serve.yaml").read_text(encoding="utf-8"))
    section = document["service"]
    section["readiness_probe"] |= {"endpoint_probe_interval_seconds": 2, "timeout_seconds": 5}
    policy = {"target_qps_per_replica": 100, "upscale_delay_seconds": 20, "downscale_delay_seconds": 20}
    section["replica_policy"] = {"min_replicas": 0, "max_replicas": 2, **policy}
    resources = {"infra": "aws", "cpus": "4+", "use_spot": True, "ports": document["resources"]["ports"]}
    program = f"python3 {HERE / 'replica.py'} $RUN_ID 8080 {SECONDS}"
    file = inside.write("serve.yaml", yaml.safe_dump({**document, "resources": resources, "run": program}))
    numbers = ("--replicas", str(least), "--max-replicas", str(max(least, 1)))
    return inside.succeed("cortex", "serve", run, "--job", file, *numbers, *words, "--yes")


def state(inside: Inside, run: str) -> dict[str, Any]:
    return json.loads(inside.python(STATE, cluster_name(run)).splitlines()[-1])


def ready(inside: Inside, run: str) -> int:
    return state(inside, run)["replicas"].count("READY")


def replicas(inside: Inside, run: str) -> list[str]:
    """The machines of the service's replicas that run."""
    found = {event["machine"] for event in inside.events() if event["run"] == run}
    return sorted(machine["id"] for machine in inside.machines() if machine["id"] in found and machine["running"])


def answers(file: Path) -> list[dict[str, Any]]:
    """The requests that were answered, in the order in which they were; a request that never was fails the test."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    told = [json.loads(line) for line in lines]
    assert all(each["answer"] for each in told), [each for each in told if not each["answer"]]
    return told
