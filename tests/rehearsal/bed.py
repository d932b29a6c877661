"""The bed in which the real trainers are killed: tiny inputs, a real S3 server, and trainers that start warm."""

import os
import subprocess
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from cortex.artifacts.open_store import open_store
from cortex.checkpoints.trainer_command import trainer_environment
from cortex.drill.stand_in import Trainer
from cortex.drill.warmth import MODULES, warm
from cortex.local.environments import environment, on_path
from cortex.profiles.profile_file import load_profile
from cortex.runs.ledger import Event, LedgerReader
from cortex.settings import CHECKOUT, Settings
from tests.artifacts.faulty import BUCKET, KEY, SECRET, Proxy, Request, Server
from tests.rehearsal.killing import Chain
from tests.rehearsal.trained import StageName, Task, make_inputs, teacher_of, write_profile

STEPS, SAVE_STEPS = 60, 2
URL = f"s3://{BUCKET}/kit"

LIBRARIES = MODULES | {
    "grpo": (
        *MODULES["grpo"],
        "cortex.trainers.trl_task",
        "trl.trainer.dpo_trainer",
        "trl.trainer.kto_trainer",
        "trl.trainer.distillation_trainer",
        "trl.trainer.reward_trainer",
    ),
    "sft": (*MODULES["sft"], "cortex.stages.pretrain", "cortex.trainers.trl_task"),
}


@dataclass(frozen=True)
class Case:
    """One trainer, at one setting."""

    stage: StageName
    lora: bool = False
    iterations: int = 1
    validated: bool = False
    packed: bool = False
    loss: Literal["sigmoid", "kto"] = "sigmoid"
    """DPO's."""

    @property
    def image(self) -> Trainer:
        return "sft" if self.stage in ("pretrain", "sft") else "grpo"

    @property
    def name(self) -> str:
        words = [self.stage, "lora" * self.lora, str(self.iterations) * (self.iterations > 1)]
        words += ["best" * self.validated, "packed" * self.packed, self.loss * (self.loss != "sigmoid")]
        return "-".join(word for word in words if word)


SFT, SFT_LORA, DPO, GRPO = Case("sft"), Case("sft", lora=True), Case("dpo", lora=True), Case("grpo")
GRPO_REUSED = Case("grpo", iterations=2)
GRPO_BEST, DPO_BEST, SFT_BEST = (
    Case("grpo", validated=True),
    Case("dpo", True, validated=True),
    Case("sft", validated=True),
)
DISTILL_BEST = Case("distill", validated=True)
SFT_PACKED = Case("sft", lora=True, packed=True)
KTO = Case("dpo", lora=True, validated=True, loss="kto")
PRETRAIN = Case("pretrain")
REWARD = Case("reward_model", lora=True, validated=True)

ALL = (
    *(GRPO_BEST, GRPO, GRPO_REUSED, DISTILL_BEST, DPO, DPO_BEST, KTO, REWARD),
    *(SFT, SFT_LORA, SFT_BEST, SFT_PACKED, PRETRAIN),
)


@dataclass
class Bed:
    """Inputs, a bucket on a real S3 server, and trainers that start warm."""

    folder: Path
    bucket: Path
    variables: Mapping[str, str]
    warm: ExitStack
    programs: dict[Trainer, Path] = field(default_factory=dict[Trainer, Path])
    undisturbed: dict[Case, str] = field(default_factory=dict[Case, str])

    def task(self, case: Case, run: str, *, save_steps: int = SAVE_STEPS, work: Path | None = None) -> Task:
        """A run's stage; it works in `work`, or in a folder of the bed."""
        profile, model = self.folder / f"{case.name}-{save_steps}.yaml", self.folder / "model"
        write_profile(
            profile,
            model,
            stage=case.stage,
            steps=STEPS,
            save_steps=save_steps,
            lora=case.lora,
            iterations=case.iterations,
            validated=case.validated,
            packed=case.packed,
            loss=case.loss,
            pretrained=case.stage == "pretrain",
        )
        work = work or self.folder / "work" / run
        python, inputs = str(self.python(case.image)), str(self.folder / "inputs")
        return Task(case.stage, str(profile), inputs, URL, str(work), run, python)

    def python(self, image: Trainer) -> Path:
        """An image's interpreter, warm."""
        if image not in self.programs:
            some, made = self.folder / "any.yaml", environment(image, Settings())
            write_profile(some, self.folder / "model", stage="grpo", steps=1, save_steps=1, lora=False, iterations=1)
            variables = trainer_environment(load_profile(str(some))) | on_path(made)
            programs = warm(made / "bin" / "python", LIBRARIES[image], variables, self.folder / f"{image}.log")
            self.programs[image] = self.warm.enter_context(programs) / "python"
        return self.programs[image]

    def expected(self, case: Case) -> str:
        """The weights of the undisturbed run, whose trainer starts cold, as on any machine."""
        if case not in self.undisturbed:
            task = self.task(case, f"{case.name}-undisturbed")
            python = environment(case.image, Settings()) / "bin" / "python"
            cold = Chain(replace(task, python=str(python)), self.bucket, self.variables)
            self.undisturbed[case] = cold.weights()
        return self.undisturbed[case]


@contextmanager
def make_bed(folder: Path) -> Generator[Bed]:
    """Build the model and the inputs, and serve the bucket; this process reads it, too."""
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
    build = [grpo / "bin" / "python", "-m", "tests.rehearsal.trained", "build", model, teacher_of(model)]
    subprocess.run(build, env={**os.environ, **on_path(grpo)}, capture_output=True, check=True)
    make_inputs(folder / "inputs", model)
    before = dict(os.environ)
    os.environ.update(reach)
    try:
        with ExitStack() as warm:
            variables = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
            yield Bed(folder, folder / "served" / BUCKET / "kit", variables, warm)
    finally:
        os.environ.clear()
        os.environ.update(before)
        proxy.shutdown()
        proxy.server_close()
        server.kill()


def _slow_uploads(request: Request) -> None:
    """Over a real network an upload takes a while, too."""
    if request.method == "PUT" and "/checkpoints/" in request.key:
        time.sleep(0.02)


def events(run: str, name: str) -> list[Event]:
    return [event for event in LedgerReader(open_store(URL), run).new_events() if event["event"] == name]
