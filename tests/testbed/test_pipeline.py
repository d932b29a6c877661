"""The whole pipeline, as a managed spot job of the real SkyPilot, robbed of its machines: it ends as if undisturbed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex.fleet.names import RUN_TAG, job_name, run_label
from cortex.process import running
from cortex.runs.profile import PROFILES
from cortex.settings import CHECKOUT, Settings
from tests.testbed.cloud import BUCKET
from tests.testbed.conftest import RUNNING, Inside, until
from tests.testbed.tail import Tail, followed
from tests.testbed.tasks import bare_pipeline

RUN = "pipeline"
NOTICE = 30.0
"""Seconds. Of what AWS promises, the kit keeps the last ten for itself."""

OURS = 20.0
"""Seconds from the start of a task's process to its first new step, at most, where nothing else needs the machine."""

SMALL: dict[str, dict[str, Any]] = {
    "data": {"source": {"kind": "simulator", "chains": 4, "days": 420, "signal": {"flow": -1.4, "whales": 1.2}}},
    "teacher": {"examples": 300},
    "sft": {"max_steps": 240, "save_steps": 20, "warmup_steps": 5},
    "grpo": {"max_steps": 24, "save_steps": 2, "micro_batch_size": 32},
    "export": {"calibration_examples": 16, "check_examples": 32},
    "evaluate": {"examples": 60},
}
"""What makes the rehearsal's profile so small that all of it takes a minute or two; its scores mean nothing."""

LAUNCH = """
import sys
from cortex.artifacts.store import Store
from cortex.runs.context import create_run
from cortex.runs.profile import load_profile
create_run(Store.open(sys.argv[1]), sys.argv[2], load_profile(sys.argv[3]))
"""


@dataclass(frozen=True)
class Recovery:
    """What one reclaim has cost, in seconds."""

    stage: str
    skypilot: float
    """From the reclaim, or its notice, until the task's process has started on another machine."""
    ours: float
    """From then to the first new step."""
    step: int
    """The first new step."""

    def __str__(self) -> str:
        return f"{self.stage}: {self.skypilot:.1f} s of SkyPilot's, then {self.ours:.1f} s of ours, to step {self.step}"


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = yaml.safe_load((PROFILES / "rehearsal.yaml").read_text())
    for section, values in SMALL.items():
        raw[section] |= values
    path = tmp_path_factory.mktemp("profile") / "small.yaml"
    path.write_text(yaml.safe_dump(raw | {"name": "small"}))
    return path


@pytest.fixture(scope="module")
def undisturbed(profile: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator["Rehearsal"]:
    """A rehearsal of the same profile on this machine, under way while the bed is raised."""
    home = tmp_path_factory.mktemp("undisturbed")
    (home / "environments").symlink_to(Settings().environments.absolute())
    others = {name: value for name, value in os.environ.items() if not name.startswith(("CORTEX_", "RUN_ID", "AWS_"))}
    environment = others | {"CORTEX_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "cortex", "rehearse", "--run", RUN, "--profile", profile]
    with (
        (home / "log").open("w") as log,
        running(command, env=environment, stdout=log, stderr=log) as process,
    ):
        yield Rehearsal(home, process, environment)


@dataclass(frozen=True)
class Rehearsal:
    home: Path
    process: "subprocess.Popen[str]"
    environment: dict[str, str]

    def shown(self) -> dict[str, Any]:
        """Wait for its end, and what `cortex show` says then."""
        assert self.process.wait(1200) == 0, (self.home / "log").read_text()
        command = [sys.executable, "-m", "cortex", "show", RUN, "--json"]
        return json.loads(subprocess.run(command, env=self.environment, capture_output=True, check=True).stdout)


def test_the_pipeline_survives_reclaims_and_a_restart_and_ends_the_same(
    undisturbed: Rehearsal, inside: Inside, profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launch(inside, profile)
    with followed(inside.bed, RUN) as tail:
        recoveries = [reclaimed(inside, tail, "sft", NOTICE)]
        inside.restart_skypilot()
        recoveries += [reclaimed(inside, tail, "grpo", 0)]
        until(lambda: tail.of("published", key="release"), "the release")
    until(lambda: inside.jobs()[job_name(RUN)] == "SUCCEEDED", "the job's end", every=5)
    with capsys.disabled():
        print("", *recoveries, sep="\n")

    assert not tail.of("stage_failed", code=1)
    (preempted,) = tail.of("preempted")
    assert (preempted["stage"], preempted["settled"]) == ("sft", True)
    published = [event["key"] for event in tail.of("published")]
    assert len(published) == len(set(published))

    shown = json.loads(inside.succeed("cortex", "show", RUN, "--json"))
    assert shown["weights"] == undisturbed.shown()["weights"]
    assert all(stage["state"] == "done" for stage in shown["stages"])

    refused = inside.run("cortex", "teardown", RUN)
    assert refused.returncode in (0, 77)
    inside.succeed("cortex", "download", RUN)
    inside.succeed("cortex", "verify", inside.bed.place.home / "cortex" / "releases" / RUN)
    assert inside.succeed("cortex", "teardown", RUN).startswith("nothing to destroy")
    until(lambda: not inside.machines(), "the return of the machines")
    assert inside.python(RUNNING) == ""
    assert all(recovery.ours <= OURS for recovery in recoveries), recoveries


def launch(inside: Inside, profile: Path) -> None:
    pipeline = bare_pipeline(inside.folder / "pipeline.yaml")
    documents = list(yaml.safe_load_all(pipeline.read_text()))
    for task in documents[1:]:
        task["resources"] = {
            "infra": "aws",
            "cpus": "4+",
            "use_spot": True,
            "job_recovery": task["resources"]["job_recovery"],
            "labels": {RUN_TAG: run_label(RUN)},
        }
        task["envs"] = {"RUN_ID": RUN, "CORTEX_BUCKET": f"s3://{BUCKET}"}
    pipeline.write_text(yaml.safe_dump_all(documents, sort_keys=False))
    inside.python(LAUNCH, f"s3://{BUCKET}", RUN, inside.write("small.yaml", profile.read_text()))
    inside.succeed("sky", "jobs", "launch", "--yes", "--detach-run", "--name", job_name(RUN), pipeline)


def reclaimed(inside: Inside, tail: Tail, stage: str, notice: float) -> Recovery:
    """Take the machine that trains away, once the bucket has two checkpoints, and wait for the first new step."""
    until(lambda: len(checkpoints(tail, stage)) >= 2, f"two checkpoints of {stage}", every=0.1)
    epoch = tail.of("stage_started", stage=stage)[-1]["epoch"]
    moment = time.time()
    inside.bed.reclaim(tail.machine(epoch), notice)
    until(lambda: steps(tail, epoch), f"a new step of {stage}", every=0.1)
    first = steps(tail, epoch)[0]
    machine = tail.machine(first["epoch"])
    # What a task's own process writes first; its machine's files are seen from here.
    started = min(float(line) for line in inside.file(machine, "started").read_text().split())
    return Recovery(stage, started - moment, first["time"] - started, first["step"])


def steps(tail: Tail, after: int) -> list[dict[str, Any]]:
    """What later epochs told of their progress."""
    return [event for event in tail.of("progress") if event["epoch"] > after]


def checkpoints(tail: Tail, stage: str) -> list[dict[str, Any]]:
    return [event for event in tail.of("published") if event["key"].startswith(f"{stage}/checkpoints/")]
