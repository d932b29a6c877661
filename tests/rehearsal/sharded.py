"""A Hugging Face Trainer under FSDP2 that saves sharded, over two processes on a CPU: `... -m tests.rehearsal.sharded`.

`stage TASK.json` is the stage that supervises it; `train TASK.json` is what torchrun runs in each process.
"""

import atexit
import hashlib
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cortex.artifacts.lease import Lease
from cortex.artifacts.open_store import open_store
from cortex.checkpoints.checkpoints import Checkpoints
from cortex.checkpoints.rules import TrainingRules
from cortex.checkpoints.supervisor import run_trainer
from cortex.checkpoints.trainer_command import distributed
from cortex.errors import CortexError
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import RunContext
from cortex.runs.ledger import Ledger
from cortex.runs.run_secret import RunSecret
from cortex.runs.trainer_events import LEAVE_VARIABLE

RUN = "sharded"


@dataclass(frozen=True)
class Task:
    """Parameters of both programs."""

    profile: str
    url: str
    work: str
    python: str
    """The interpreter of an environment with the trainers' libraries."""
    blind_rank: int | None = None
    """Rank of a process that learns of no notice."""
    late_seconds: float = 0.0
    """Seconds by which the second process saves its random state after the first."""


def stage(task: Task) -> str:
    """Train to the end, and return the SHA-256 of the final weights."""
    sys.executable = os.environ["PYTHON_EXEC"] = task.python
    store, profile = open_store(task.url), load_profile(task.profile)
    lease = Lease.take(store, RUN)
    secret = RunSecret(RUN, "a secret of tests, 32 letters long")
    context = RunContext(RUN, profile, store, Path(task.work), lease, Ledger(store, RUN, lease.epoch), secret)
    checkpoints = Checkpoints(context, "sft", keep=2)
    resume = checkpoints.newest()
    told = context.folder("sft") / "task.json"
    further = {"saving": str(checkpoints.saving), "resume": str(resume) if resume else None}
    told.write_text(json.dumps({**asdict(task), **further}))
    command = distributed(profile, "tests.rehearsal.sharded", "train", told)
    checkpoints.bring_best()
    rules = TrainingRules.of(profile.sft, checkpoints.committed)
    run_trainer(context, checkpoints, command, profile.sft.hang_limit, rules=rules)
    return (checkpoints.saving / "weights").read_text()


def train(saving: Path, resume: str | None, task: Task) -> None:
    """Train in one process of the trainer."""
    import torch
    from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
    from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

    from cortex.trainers.callbacks import kit_callbacks
    from cortex.trainers.ranks import leave

    rank, sft = int(os.environ["RANK"]), load_profile(task.profile).sft
    saving.mkdir(parents=True, exist_ok=True)
    (saving / f"pid-{rank}").write_text(str(os.getpid()))
    atexit.register(lambda: (saving / f"in-group-{rank}").write_text(str(torch.distributed.is_initialized())))
    if rank == task.blind_rank:
        os.environ[LEAVE_VARIABLE] += ".never"

    class ShardedTrainer(Trainer):
        def create_accelerator_and_postprocess(self) -> None:
            """Switch FSDP on: without a GPU Accelerate leaves it out silently."""
            super().create_accelerator_and_postprocess()
            state = self.accelerator.state
            state.fsdp_plugin = FullyShardedDataParallelPlugin(**self.args.fsdp_plugin_args)
            state.distributed_type = DistributedType.FSDP
            self.is_fsdp_enabled = True

        def _save_rng_state(self, output_dir: str) -> None:
            if rank == 1:
                time.sleep(task.late_seconds)
            super()._save_rng_state(output_dir)

    torch.manual_seed(0)
    sizes: dict[str, Any] = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2}
    model = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=2, num_key_value_heads=2, attention_dropout=0.1))
    tokens = torch.randint(64, (64, 16), generator=torch.Generator().manual_seed(1))
    arguments = TrainingArguments(
        output_dir=str(saving),
        max_steps=sft.max_steps,
        save_steps=sft.save_steps,
        learning_rate=sft.learning_rate,
        per_device_train_batch_size=2,
        logging_steps=1,
        use_cpu=True,
        ddp_backend="gloo",
        fsdp=True,  # pyright: ignore[reportArgumentType]
        fsdp_config={
            "version": 2,
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "transformer_layer_cls_to_wrap": ["LlamaDecoderLayer"],
            "state_dict_type": "SHARDED_STATE_DICT",
            "reshard_after_forward": True,
        },
        report_to=[],
        disable_tqdm=True,
    )
    rows: Any = [{"input_ids": row, "labels": row} for row in tokens]
    others = torch.randint(64, (8, 16), generator=torch.Generator().manual_seed(2))
    held_out: Any = [{"input_ids": row, "labels": row} for row in others]
    trainer = ShardedTrainer(model=model, args=arguments, train_dataset=rows, eval_dataset=held_out)
    for callback in kit_callbacks(trainer):
        trainer.add_callback(callback)
    trainer.train(resume_from_checkpoint=resume)
    whole = get_model_state_dict(trainer.model_wrapped, options=StateDictOptions(full_state_dict=True))
    if rank == 0:
        hashed = hashlib.sha256()
        for name, weight in sorted(whole.items()):
            hashed.update(name.encode() + weight.contiguous().numpy().tobytes())
        (saving / "weights").write_text(hashed.hexdigest())
    leave()


def main() -> None:
    options = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    saving, resume = options.pop("saving", None), options.pop("resume", None)
    task = Task(**options)
    if sys.argv[1] == "train":
        train(Path(saving), resume, task)
        return
    try:
        print(f"weights {stage(task)}", flush=True)
    except CortexError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
