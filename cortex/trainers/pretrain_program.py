"""The pretraining as a program: `python -m cortex.trainers.pretrain_program TASK.json`, which the stage writes.

Transformers' own Trainer, from which Axolotl's and TRL's are made, reads the kit's stream. Axolotl's streaming, and the
Trainer's own way to go on in a stream, read everything again up to the place of the checkpoint; here the checkpoint
holds the place.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, IterableDataset
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cortex.errors import CortexError, DataError
from cortex.models.loading import load_model, load_tokenizer
from cortex.runs.trainer_events import Failed, emit
from cortex.trainers.callbacks import kit_callbacks
from cortex.trainers.layers import name_layers_to_shard
from cortex.trainers.precision import train_in_float32
from cortex.trainers.ranks import leave
from cortex.trainers.text_passes import Passes, PhasePasses, Rates
from cortex.trainers.text_source import StreamedSource, streamed
from cortex.trainers.text_stream import Mixture

STREAM = "stream.json"
"""File of a checkpoint with the place in the stream."""


class PhaseTask(BaseModel):
    """A phase of a task."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    steps: int
    rate: float
    rows: int
    length: int
    sources: tuple[StreamedSource, ...]


class PretrainTask(BaseModel):
    """The stage's task, as a JSON file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """The folder to start from."""
    attention: str
    device: str
    arguments: dict[str, Any]
    """Arguments of `transformers.TrainingArguments`."""
    phases: tuple[PhaseTask, ...]
    passes: int
    """Forward passes of a step, of all devices together."""
    scheduler: str
    final_rate: float
    shuffle: int
    seed: int
    resume: str | None
    """The checkpoint to continue from."""
    output: str
    """Folder for the trained model."""
    read: str
    """File for the tokens that were read of each source."""


class Stream(IterableDataset[dict[str, torch.Tensor]]):
    """The passes as the model takes them, in this process: with several ranks, the first reads for all."""

    def __init__(self, passes: Passes) -> None:
        self.passes = passes

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        for sequences in self.passes:
            ids = torch.tensor(sequences)  # of shape (sequences of a pass, tokens of a sequence)
            yield {"input_ids": ids, "labels": ids.clone()}


class Pretrainer(Trainer):
    """A Trainer that takes passes as the stream gives them, and rates that decline from phase to phase."""

    def __init__(self, *, passes: Passes, rates: Rates, **rest: Any) -> None:
        self._rates = rates
        super().__init__(train_dataset=Stream(passes), **rest)

    def get_train_dataloader(self) -> Any:
        return self.accelerator.prepare(DataLoader(self.train_dataset, batch_size=None))

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        if self.lr_scheduler is None:
            peak = self.args.learning_rate
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, lambda step: self._rates.at(step) / peak)
        return self.lr_scheduler


class StreamCallback(TrainerCallback):
    """Saves the place in the stream with each checkpoint, and one at each phase's end; reports tokens."""

    def __init__(self, passes: Passes, task: PretrainTask) -> None:
        self._passes, self._tokens = passes, task.passes * task.phases[0].rows * task.phases[0].length
        self._ends = [sum(phase.steps for phase in task.phases[: n + 1]) for n in range(len(task.phases))]
        self._since, self._from = time.monotonic(), 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._since, self._from = time.monotonic(), state.global_step

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step in self._ends:
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero:
            path = Path(args.output_dir or ".", f"checkpoint-{state.global_step}", STREAM)
            path.write_text(json.dumps(self._passes.state(state.global_step)), encoding="utf-8")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        step, now = state.global_step, time.monotonic()
        if logs is None or "loss" not in logs or step <= self._from:
            return
        # The kit's callback, which comes next, reports them with the rest. The trainer's own history has been written.
        logs["tokens"] = float(step * self._tokens)
        logs["tokens_per_second"] = (step - self._from) * self._tokens / (now - self._since)
        logs["phase"] = 1.0 + sum(step > end for end in self._ends)
        self._since, self._from = now, step


def main() -> None:
    """Train to the end; a stream's failure becomes the trainer's reason for ending."""
    task = PretrainTask.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.environ["TOKENIZERS_PARALLELISM"] = "true"  # no process is forked from here, and tokens do not depend on it
    try:
        _train(task)
    except CortexError as error:
        emit(Failed(reason=str(error)))
        print(f"error: {error}", flush=True)
        leave(error.exit_code)


def _train(task: PretrainTask) -> None:
    model = load_model(task.model, device=task.device, attention=task.attention, trainable=True)
    if task.arguments.get("fsdp"):
        name_layers_to_shard(model)
    train_in_float32(model)
    tokenizer = load_tokenizer(task.model)
    passes = Passes(list(_phases(task, tokenizer)), task.passes, _place(task.resume))
    rates = Rates(
        [(phase.steps, phase.rate) for phase in task.phases],
        task.scheduler,  # pyright: ignore[reportArgumentType]
        task.arguments["warmup_steps"],
        task.final_rate,
    )
    # The place in the stream is the checkpoint's, so the Trainer must not skip what it thinks was read.
    arguments = TrainingArguments(**task.arguments, ignore_data_skip=True)
    trainer = Pretrainer(passes=passes, rates=rates, model=model, args=arguments, processing_class=tokenizer)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    # First, since the kit's callback reports a checkpoint as complete.
    for callback in (StreamCallback(passes, task), *kit_callbacks(trainer)):
        trainer.add_callback(callback)
    trainer.train(resume_from_checkpoint=task.resume)
    trainer.save_model(task.output)
    if trainer.is_world_process_zero():
        tokenizer.save_pretrained(task.output)
        Path(task.read).write_text(json.dumps(passes.read, indent=1), encoding="utf-8")


def _phases(task: PretrainTask, tokenizer: Any) -> Iterator[PhasePasses]:
    for phase in task.phases:
        mixture = partial(
            Mixture,
            phase.name,
            [streamed(source, tokenizer) for source in phase.sources],
            phase.length,
            rows=task.shuffle,
            seed=task.seed,
        )
        yield PhasePasses(phase.name, phase.steps, phase.rate, phase.rows, phase.length, mixture)


def _place(resume: str | None) -> dict[str, Any] | None:
    """The place in the stream of a checkpoint.

    Raises:
        DataError: the checkpoint has none.
    """
    if resume is None:
        return None
    path = Path(resume, STREAM)
    if not path.is_file():
        raise DataError(f"{resume} has no {STREAM}, so that its place in the stream is not known: start a new run")
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
    leave()
