"""`cortex teardown` against the real SkyPilot; the cloud's own list of machines shows what is left."""

import json

import pytest

from cortex.fleet.clouds.job_names import RUN_TAG, cluster_name, job_name, run_label
from tests.testbed.conftest import RUNNING, Inside, until

RUN = "Run_7"

TASK = """
resources:
  infra: aws
  cpus: 4+
  use_spot: true
  labels: {{{tag}: {label}}}
envs: {{RUN_ID: {run}}}
run: sleep 3600
"""

PUBLISH = """
import sys
from pathlib import Path
from cortex.artifacts.artifact import publish
from cortex.artifacts.store import Store
from cortex.artifacts.open_store import open_store
made = Path(sys.argv[1])
made.mkdir()
(made / "weights").write_bytes(bytes(1_000_000))
publish(made, open_store(sys.argv[2]), f"runs/{sys.argv[3]}/release", kind="release")
"""


@pytest.mark.drawn("bed")
def test_a_run_is_torn_down_once_its_release_is_home_and_not_before(inside: Inside) -> None:
    before = running(inside)
    task = inside.write("task.yaml", TASK.format(tag=RUN_TAG, label=run_label(RUN), run=RUN))
    others = inside.write("others.yaml", TASK.format(tag=RUN_TAG, label="other", run="other"))
    inside.succeed("sky", "jobs", "launch", "--yes", "--detach-run", "--async", "--name", job_name(RUN), task)
    inside.succeed("sky", "jobs", "launch", "--yes", "--detach-run", "--async", "--name", "others", others)
    inside.succeed("sky", "launch", "--yes", "--detach-run", "--cluster", cluster_name(RUN), task)
    wanted = {job_name(RUN): "RUNNING", "others": "RUNNING"}
    until(lambda: wanted.items() <= inside.jobs().items(), "the jobs' start", every=5)
    assert len(running(inside) - before) == 3

    inside.python(PUBLISH, inside.folder / "made", "s3://cortex-testbed", RUN)
    refused = inside.run("cortex", "teardown", RUN)
    assert refused.returncode == 77, refused.stderr
    assert f"cortex download {RUN}" in refused.stderr and len(running(inside) - before) == 3

    inside.succeed("cortex", "download", RUN)
    told, *destroyed = inside.succeed("cortex", "teardown", RUN).splitlines()
    assert told == f"the release of run {RUN} is unsigned"
    assert [line.partition("/")[0] for line in destroyed] == ["job", "cluster"], destroyed
    assert all(line.endswith(": destroyed") for line in destroyed)
    assert f"cluster/{cluster_name(RUN)}: destroyed" in destroyed
    assert len(running(inside) - before) == 1 and inside.jobs()["others"] == "RUNNING"

    again = inside.succeed("cortex", "teardown", RUN)
    assert "\nnothing to destroy" in again
    assert ledger(inside) == ["teardown", "destroyed", "destroyed"]
    check_that_an_abandoned_run_is_found_by_its_id(inside)


def check_that_an_abandoned_run_is_found_by_its_id(inside: Inside) -> None:
    """Whatever its job is called: the job of the other run, which has no artifact."""
    before = running(inside)
    wrong = inside.run("cortex", "teardown", "other", "--abandon", "--confirm", RUN)
    assert wrong.returncode == 2 and running(inside) == before
    done = inside.succeed("cortex", "teardown", "other", "--abandon", "--confirm", "other")
    assert done.startswith("job/") and done.endswith(": destroyed\n")
    (ended,) = before - running(inside)
    until(lambda: ended not in {machine["id"] for machine in inside.machines()}, "the end of its machine")


def running(inside: Inside) -> set[str]:
    """The machines that cost something, by the cloud's own word."""
    return set(inside.python(RUNNING).split())


def ledger(inside: Inside) -> list[str]:
    text = """
import json, sys
from cortex.artifacts.store import Store
from cortex.artifacts.open_store import open_store
from cortex.runs.ledger import LedgerReader
print(json.dumps([event["event"] for event in LedgerReader(open_store(sys.argv[1]), sys.argv[2]).new_events()]))
"""
    return json.loads(inside.python(text, "s3://cortex-testbed", RUN).splitlines()[-1])
