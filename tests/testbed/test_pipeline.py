"""The whole pipeline, as a managed spot job of the real SkyPilot, robbed of its machines: it ends as if undisturbed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex.fleet.clouds.job_names import job_name
from cortex.process import running
from cortex.profiles.profile_file import PROFILES
from cortex.settings import CHECKOUT, Settings
from tests.testbed.conftest import RUNNING, Inside, until
from tests.testbed.tail import Tail, followed
from tests.testbed.tasks import bare_pipeline

RUN = "pipeline"
NOTICE = 40.0
"""Seconds; AWS promises 120. The stage saves at once, and stays until its machine is taken."""

SMALL: dict[str, dict[str, Any]] = {
    "domain": {"source": {"kind": "simulator", "chains": 4, "days": 420, "signal": {"flow": -1.4, "whales": 1.2}}},
    "teacher": {"examples": 300},
    "sft": {"max_steps": 240, "save_steps": 20, "warmup_steps": 5},
    "grpo": {"max_steps": 24, "save_steps": 2, "micro_batch_size": 32},
    "export": {"calibration_examples": 16, "check_examples": 32},
    "evaluate": {"examples": 60},
}
"""Settings that make the rehearsal's profile so small that a run takes a minute or two; its scores mean nothing."""

MACHINES = (("data", "sft"), ("grpo", "export", "evaluate", "release"))
"""Tasks of `sky.yaml` that share a machine here, where each takes minutes of two cores to come up."""


@dataclass(frozen=True)
class Recovery:
    """Costs of one reclaim, in seconds."""

    stage: str
    skypilot: float
    """From the reclaim, or its notice, to the start of the task's process on another machine."""
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
        """Wait for its end, and return what `cortex show` then says."""
        assert self.process.wait(1200) == 0, (self.home / "log").read_text()
        command = [sys.executable, "-m", "cortex", "show", RUN, "--json"]
        return json.loads(subprocess.run(command, env=self.environment, capture_output=True, check=True).stdout)


@pytest.mark.drawn("bed")
def test_the_pipeline_survives_reclaims_and_a_restart_and_ends_the_same(
    undisturbed: Rehearsal, inside: Inside, profile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    launch(inside, profile)
    with followed(inside.bed, RUN) as tail:
        recoveries = disturbed(inside, tail)
    with capsys.disabled():
        print("", *recoveries, sep="\n")
    check_ledger(tail)
    shown = json.loads(inside.succeed("cortex", "show", RUN, "--json"))
    assert [stage["state"] for stage in shown["stages"]] == ["done"] * len(shown["stages"])
    assert shown["weights"] == undisturbed.shown()["weights"]
    bring_home(inside)
    check_cost(inside)


def launch(inside: Inside, profile: Path) -> None:
    pipeline = bare_pipeline(inside.folder / "pipeline.yaml", *MACHINES)
    given = inside.write("small.yaml", profile.read_text(encoding="utf-8"))
    words = ["--profile", given, "--run", RUN, "--pipeline", pipeline, "--yes", "--no-follow"]
    # The preflight checks are real ones, and a busy machine needs time for them.
    done = inside.run("cortex", "launch", *words, CORTEX_PREFLIGHT_SECONDS="300")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SkyPilot may use aws" in " ".join(done.stdout.split()), done.stdout


def disturbed(inside: Inside, tail: Tail) -> list[Recovery]:
    """Reclaim with notice, restart SkyPilot's server, reclaim without notice; wait for the end of the job."""
    recoveries = [reclaimed(inside, tail, "sft", NOTICE)]
    inside.restart_skypilot()
    recoveries += [reclaimed(inside, tail, "grpo", 0)]
    wait(tail, lambda: tail.of("published", key="release"), "the release")
    until(lambda: inside.jobs()[job_name(RUN)] == "SUCCEEDED", "the job's end", every=5)
    return recoveries


def wait(tail: Tail, look: Callable[[], Any], what: str) -> None:
    """Wait, for as long as no stage has failed in a way that SkyPilot does not recover from."""

    def sound() -> Any:
        failed = [event for event in tail.of("stage_failed") if event["code"] not in (75, 77)]
        assert not failed, failed
        return look()

    until(sound, what, every=0.1)


def check_ledger(tail: Tail) -> None:
    """The notice was heeded, nothing failed otherwise, and each stage finished once, whichever machines ran it."""
    assert [(event["stage"], event["settled"]) for event in tail.of("preempted")] == [("sft", True)]
    failed = [(event["stage"], event["code"]) for event in tail.of("stage_failed")]
    assert ("sft", 75) in failed and {code for _, code in failed} <= {75, 77}, failed
    done = [event["stage"] for event in tail.of("stage_finished")]
    assert len(done) == len(set(done)), done


def bring_home(inside: Inside) -> None:
    """Download, verify, tear down; no machine is left, by SkyPilot, by the cloud's own word, and here."""
    inside.succeed("cortex", "download", RUN)
    inside.succeed("cortex", "verify", inside.bed.place.home / "cortex" / "releases" / RUN)
    inside.succeed("cortex", "teardown", RUN)
    until(lambda: not inside.machines(), "the return of the machines")
    assert inside.python(RUNNING) == ""


def check_cost(inside: Inside) -> None:
    """The cost in the run's ledger is the cloud's bill, machine by machine."""
    billed, cost = inside.billed(RUN), inside.charged(RUN)
    booted = {event["machine"]: event for event in inside.events() if event["event"] == "booted"}
    for machine in cost["machines"]:
        name = machine["machine"]
        assert machine["dollars_per_hour"] == booted[name]["price"]
        # The metadata service tells whole seconds.
        assert abs(machine["since"] - booted[name]["launched"]) <= 1
        assert abs(machine["dollars"] - billed[name]) <= 2 / 3600 * machine["dollars_per_hour"]
    assert abs(cost["spent"] - sum(billed.values())) <= 0.02 * sum(billed.values())


def reclaimed(inside: Inside, tail: Tail, stage: str, notice: float) -> Recovery:
    """Take the machine that trains away, once the bucket has two checkpoints, and wait for the first new step."""
    wait(tail, lambda: len(checkpoints(tail, stage)) >= 2, f"two checkpoints of {stage}")
    epoch = tail.of("stage_started", stage=stage)[-1]["epoch"]
    moment = time.time()
    inside.bed.reclaim(tail.machine(epoch), notice)
    wait(tail, lambda: steps(tail, epoch), f"a new step of {stage}")
    first = steps(tail, epoch)[0]
    machine = tail.machine(first["epoch"])
    # The task writes the time there before its own command; its machine's files can be read from here.
    begun = [float(line) for line in inside.file(machine, "started").read_text().split()]
    started = max(moment for moment in begun if moment < first["time"])
    return Recovery(stage, started - moment, first["time"] - started, first["step"])


def steps(tail: Tail, after: int) -> list[dict[str, Any]]:
    """Progress events of later epochs."""
    return [event for event in tail.of("progress") if event["epoch"] > after]


def checkpoints(tail: Tail, stage: str) -> list[dict[str, Any]]:
    return [event for event in tail.of("published") if event["key"].startswith(f"{stage}/checkpoints/")]
