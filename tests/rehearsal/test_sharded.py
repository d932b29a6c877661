"""Sharded over two processes, a checkpoint is all of both or none."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
import yaml

from cortex.artifacts.manifest import Manifest
from cortex.artifacts.open_store import open_store
from cortex.checkpoints.completeness import STATE
from cortex.checkpoints.trainer_command import trainer_environment
from cortex.drill.warmth import warm
from cortex.errors import PreemptedError, StageError
from cortex.local.environments import environment, on_path
from cortex.profiles.profile_file import load_profile
from cortex.runs.ledger import LedgerReader
from cortex.settings import Settings
from tests.rehearsal.sharded import RUN, Task

pytestmark = pytest.mark.rehearsal

STEPS, SAVE_STEPS = 12, 3
LIBRARIES = (
    "torch.distributed.run",
    "torch.distributed.fsdp",
    "torch.distributed.checkpoint.state_dict",
    "transformers.trainer",
    "transformers.models.llama.modeling_llama",
    "cortex.trainers.callbacks",
)
SHARDS = ("pytorch_model_fsdp_0", "optimizer_0")


@dataclass
class Stage:
    """One run, begun and continued."""

    folder: Path
    profile: Path
    python: Path
    output: str = ""

    def start(self, *, late_seconds: float = 0.0, blind_rank: int | None = None) -> "subprocess.Popen[str]":
        url, work, told = self.folder / "bucket", self.folder / "work", self.folder / "task.json"
        self.folder.mkdir(exist_ok=True)
        task = Task(str(self.profile), str(url), str(work), str(self.python), blind_rank, late_seconds)
        told.write_text(json.dumps(asdict(task)))
        for stale in self.saving.glob("*"):
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
        with self.log.open("w") as log:
            return subprocess.Popen(
                [self.python, "-m", "tests.rehearsal.sharded", "stage", told],
                env={**os.environ, "AWS_EC2_METADATA_DISABLED": "true"},
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                process_group=0,
            )

    def finish(self, process: "subprocess.Popen[str]") -> int:
        code = process.wait(600)
        self.output = self.log.read_text()
        return code

    def weights(self) -> str:
        assert self.finish(self.start()) == 0, self.output[-4000:]
        return self.output.splitlines()[-1].removeprefix("weights ")

    def kill_second(self, process: "subprocess.Popen[str]") -> None:
        """Kill the second process alone; the first cannot go on without it, and torchrun ends it."""
        os.kill(int((self.saving / "pid-1").read_text()), signal.SIGKILL)
        assert self.finish(process) == StageError.exit_code
        assert "the trainer exited with 1" in self.output

    def await_(self, seen: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
        end = time.monotonic() + 600
        while not seen():
            assert process.poll() is None, self.log.read_text()[-4000:]
            assert time.monotonic() < end
            time.sleep(0.001)

    def left_group(self) -> bool:
        """True where both processes of the last trainer had left their group when they ended."""
        return [(self.saving / f"in-group-{rank}").read_text() for rank in (0, 1)] == ["False", "False"]

    @property
    def log(self) -> Path:
        return self.folder / "stage.log"

    @property
    def saving(self) -> Path:
        return self.folder / "work" / "sft" / "trainer"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "bucket" / "runs" / RUN / "sft" / "checkpoints"

    def committed(self) -> list[int]:
        return sorted(int(path.parent.name) for path in self.checkpoints.glob("*/manifest.json"))


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sharded") / "sharded.yaml"
    trainer = {"learning_rate": 1e-2, "max_steps": STEPS, "save_steps": SAVE_STEPS, "micro_batch_size": 8}
    hardware = {"device": "cpu", "threads": 1, "gpus": 2}
    model = {"base": str(path.parent)}  # offline
    path.write_text(
        yaml.safe_dump(
            {
                "name": "sharded",
                "domain": {"kind": "markets"},
                "model": model,
                "sft": trainer,
                "grpo": trainer,
                "hardware": hardware,
            }
        )
    )
    return path


@pytest.fixture(scope="module")
def validated_profile(profile: Path) -> Path:
    """The same, but it ends with the best validated weights. Weights learned by heart are worse on other tokens."""
    raw = yaml.safe_load(profile.read_text(encoding="utf-8"))
    raw["sft"] |= {"validate_steps": SAVE_STEPS, "max_steps": 4 * STEPS, "learning_rate": 3e-2}
    path = profile.with_name("validated.yaml")
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def python(profile: Path) -> Iterator[Path]:
    made = environment("grpo", Settings())
    variables = trainer_environment(load_profile(str(profile))) | on_path(made)
    with warm(made / "bin" / "python", LIBRARIES, variables, profile.parent / "warm.log") as programs:
        yield programs / "python"


@pytest.fixture(scope="module")
def undisturbed(profile: Path) -> Stage:
    """A whole run, whose trainer starts cold, as on any machine."""
    stage = Stage(profile.parent / "undisturbed", profile, environment("grpo", Settings()) / "bin" / "python")
    stage.weights()
    return stage


@pytest.fixture
def stage(tmp_path: Path, profile: Path, python: Path) -> Stage:
    return Stage(tmp_path / "run", profile, python)


def test_a_manifest_covers_what_every_process_saved(undisturbed: Stage) -> None:
    assert undisturbed.committed()[-1] == 9
    manifest = Manifest.read(undisturbed.checkpoints / "9")
    shards = {f"{part}/{name}" for part in SHARDS for name in ("__0_0.distcp", "__1_0.distcp", ".metadata")}
    assert {file.name for file in manifest.files} >= shards | {"rng_state_0.pth", "rng_state_1.pth", STATE}


def test_each_process_leaves_its_group_before_it_ends(undisturbed: Stage) -> None:
    assert undisturbed.left_group()


def test_one_process_killed_in_the_save_leaves_the_checkpoint_before_in_force(stage: Stage, undisturbed: Stage) -> None:
    # The first process has written all its files; the second's random state is missing.
    folder = stage.saving / "checkpoint-6"
    process = stage.start(late_seconds=1.5)
    stage.await_((folder / STATE).exists, process)
    time.sleep(0.3)  # a committer that did not wait for all would be done
    assert not (folder / "rng_state_1.pth").exists()
    stage.kill_second(process)
    assert stage.committed() == [3]

    # This time the second's shards are missing, too.
    process = stage.start()
    stage.await_((folder / SHARDS[0]).exists, process)
    stage.kill_second(process)
    assert "resuming from checkpoint-3" in stage.output
    assert stage.committed() == [3]

    assert stage.weights() == undisturbed.output.splitlines()[-1].removeprefix("weights ")
    assert "resuming from checkpoint-3" in stage.output


def test_sharded_weights_return_to_the_best_validated(tmp_path: Path, validated_profile: Path, python: Path) -> None:
    best = Stage(tmp_path / "best", validated_profile, python)
    weights = best.weights()
    events = LedgerReader(open_store(str(best.folder / "bucket")), RUN).new_events()
    losses = {event["step"]: event["values"]["loss"] for event in events if event["event"] == "validated"}
    [chosen] = [event["step"] for event in events if event["event"] == "chosen"]
    assert chosen == min(losses, key=lambda step: (losses[step], step)) < max(losses) == 4 * STEPS
    assert chosen in best.committed()

    killed = Stage(tmp_path / "killed", validated_profile, python)
    process = killed.start()
    killed.await_(lambda: len(killed.committed()) > 0 and killed.committed()[-1] >= 2 * STEPS, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(1)  # its trainer dies of it, and says so in the same log
    assert killed.weights() == weights
    assert "resuming from checkpoint-" in killed.output


@pytest.mark.parametrize("blind", [0, 1])
def test_a_notice_that_one_process_saw_makes_both_save_the_same_step(
    blind: int, stage: Stage, undisturbed: Stage
) -> None:
    process = stage.start(blind_rank=blind, late_seconds=0.5)
    stage.await_(lambda: stage.log.read_text().count("'loss'") >= 4, process)
    os.killpg(process.pid, signal.SIGTERM)
    assert stage.finish(process) == PreemptedError.exit_code, stage.output
    events = LedgerReader(open_store(str(stage.folder / "bucket")), RUN).new_events()
    made = max(event["step"] for event in events if event["event"] == "progress")
    left = stage.committed()[-1]
    assert left == made
    for rank in (0, 1):
        assert (stage.checkpoints / str(left) / SHARDS[0] / f"__{rank}_0.distcp").exists()
        assert (stage.checkpoints / str(left) / f"rng_state_{rank}.pth").exists()
    assert stage.weights() == undisturbed.output.splitlines()[-1].removeprefix("weights ")
    assert f"resuming from checkpoint-{left}" in stage.output
