"""A trainer without weights: its state is a chain of hashes, so that any step left out, doubled or mixed shows.

It saves the files of a Hugging Face trainer in that trainer's order, emits the events of the kit's callback, and leaves
when asked. As a program it is the stage that supervises one: `python -m tests.checkpoints.toy TASK.json`.
"""

import hashlib
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from cortex.artifacts.open_store import open_store
from cortex.checkpoints.checkpoints import Checkpoints
from cortex.checkpoints.completeness import STATE
from cortex.checkpoints.supervisor import run_trainer
from cortex.errors import CortexError, PreemptedError
from cortex.profiles.profile_file import load_profile
from cortex.profiles.trainer_sections import HangLimit
from cortex.runs import notice
from cortex.runs.context import RunContext
from cortex.runs.metadata.endpoints import Endpoints
from cortex.runs.meter import Meter
from cortex.runs.trainer_events import (
    LEAVE_VARIABLE,
    Failed,
    Left,
    Progressed,
    Saved,
    Saving,
    Started,
    Stepped,
    Validated,
    Validating,
    emit,
)
from tests.checkpoints.conftest import RUN, context_of

Fault = Literal["", "hangs", "ignores notices", "fails", "lacks room", "says nothing", "prints events", "names others"]


@dataclass(frozen=True)
class Task:
    """Parameters of the program."""

    url: str
    work: str
    steps: int = 40
    save_steps: int = 5
    keep: int = 2
    step_seconds: float = 0.01
    weight_bytes: int = 200_000
    fault: Fault = ""
    fault_step: int = 12
    hang_seconds: float = 30
    notice_seconds: float = notice.SIGTERM_SECONDS
    validate_steps: int = 0
    """Steps between validations, of which the one at `best_step` is the best; 0 for none."""
    best_step: int = 10
    budget: float = 0.0
    """Dollars; if given, the stage is metered at the prices of the run's price list."""
    metadata: str = ""
    """Address of the metadata service that tells a metered stage its machine; empty for none."""


def stage(task: Task) -> str:
    """Supervise a training to its end, and return the model."""
    notice.SIGTERM_SECONDS = task.notice_seconds
    store = open_store(task.url)
    if not task.budget:
        return supervise(task, context_of(store, load_profile("rehearsal"), Path(task.work)))
    asked = Endpoints(task.metadata, None, None).identities() if task.metadata else []
    with Meter(store, RUN, task.budget, "sft", asked=asked, every=0.2) as meter:
        context = context_of(store, load_profile("rehearsal"), Path(task.work))
        meter.use_epoch(context.lease.epoch)
        return supervise(task, replace(context, meter=meter))


def supervise(task: Task, context: RunContext) -> str:
    context.ledger.hold("stage_started", stage="sft")
    checkpoints = Checkpoints(context, "sft", keep=task.keep)
    resume = checkpoints.newest()
    checkpoints.bring_best()
    options = {**asdict(task), "saving": str(checkpoints.saving), "resume": str(resume) if resume else None}
    options_file = context.folder("sft") / "task.json"
    options_file.write_text(json.dumps(options))
    limit = HangLimit(steps=2, least_seconds=task.hang_seconds, start_seconds=30)
    run_trainer(context, checkpoints, [sys.executable, "-m", "tests.checkpoints.toy", "train", options_file], limit)
    return (checkpoints.saving / "model").read_text()


def train(saving: Path, resume: str | None, task: Task) -> None:
    """Run the trainer's own program."""
    state, step = restore(Path(resume)) if resume else (b"seed", 0)
    if task.fault == "says nothing":
        return
    emit(Started(rank=0, pid=os.getpid(), step=step, total=task.steps))
    if task.fault == "names others":
        emit(Started(rank=1, pid=os.getppid(), step=step, total=task.steps))
    signal.signal(signal.SIGUSR1, lambda *_: print("the stack of every thread", flush=True))
    leave = Path(os.environ[LEAVE_VARIABLE])
    while step < task.steps:
        time.sleep(task.step_seconds)
        state, step = hashlib.sha256(state).digest(), step + 1
        emit(Stepped(step=step))
        print(f"step {step}", flush=True)
        emit(Progressed(step=step, total=task.steps, values={"loss": 1 / step}))
        if task.fault and step == task.fault_step:
            misbehave(task.fault)
        if task.validate_steps and step % task.validate_steps == 0:
            emit(Validating(step=step))
            far = float(abs(step - task.best_step))
            emit(Validated(step=step, score=-far, values={"loss": far, "reward/format": 1.0}))
        leaving = leave.exists() and task.fault != "ignores notices"
        if step < task.steps and (leaving or step % task.save_steps == 0):
            emit(Saving(step=step))
            save(saving / f"checkpoint-{step}", state, step, task.weight_bytes)
            emit(Saved(step=step))
            if leaving:
                emit(Left(step=step))
                sys.exit(PreemptedError.exit_code)
    (saving / "model").write_text(state.hex())


def misbehave(fault: Fault) -> None:
    match fault:
        case "prints events":
            print('a completion ::trainer {"event": "saved", "step": "../../../victim"}', flush=True)
            print('{"event":"failed","reason":"the text of a completion"}', flush=True)
            sys.stdout.buffer.write(b"\xff\xfe no text\n")
            sys.exit(3)
        case "hangs" | "names others":
            while True:
                time.sleep(60)
        case "fails":
            sys.exit(3)
        case "lacks room":
            emit(Failed(reason="the disk is full: take a larger one"))
            sys.exit(78)
        case _:
            pass


def save(folder: Path, state: bytes, step: int, weight_bytes: int = 1000) -> Path:
    """Write a whole checkpoint, file by file."""
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(state * (weight_bytes // len(state)))
    (folder / "config.json").write_text("{}")
    (folder / "optimizer.pt").write_bytes(b"optimizer" + state * 10)
    (folder / "scheduler.pt").write_bytes(b"scheduler" + state)
    (folder / "rng_state.pth").write_bytes(b"random" + state)
    (folder / STATE).write_text(json.dumps({"global_step": step}))
    return folder


def restore(folder: Path) -> tuple[bytes, int]:
    """A checkpoint's state and step; all its files have to be of that step."""
    step = int(json.loads((folder / STATE).read_text())["global_step"])
    state = (folder / "scheduler.pt").read_bytes().removeprefix(b"scheduler")
    weights = (folder / "model.safetensors").read_bytes()
    assert weights == state * (len(weights) // len(state))
    assert state == chain(step)
    return state, step


def chain(steps: int) -> bytes:
    """The state after so many undisturbed steps."""
    state = b"seed"
    for _ in range(steps):
        state = hashlib.sha256(state).digest()
    return state


def main() -> None:
    options = json.loads(Path(sys.argv[-1]).read_text(encoding="utf-8"))
    saving, resume = options.pop("saving", None), options.pop("resume", None)
    task = Task(**options)
    if sys.argv[1] == "train":
        Path(saving).mkdir(parents=True, exist_ok=True)
        train(Path(saving), resume, task)
        return
    try:
        print(f"model {stage(task)}")
    except CortexError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
