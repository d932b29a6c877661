"""A program of the grpo image: the DPO trainer to its end, as one rank of a group, in the folder that it is given."""

import atexit
import json
import runpy
import sys
from pathlib import Path
from typing import Any

import torch

from cortex.models.scratch import build
from cortex.profiles.profile import Profile
from cortex.profiles.profile_sections import ScratchModel
from cortex.trainers.trl_config import dpo_arguments


def main() -> None:
    folder = Path(sys.argv[1])
    base, pairs, task = folder / "base", folder / "pairs.jsonl", folder / "task.json"
    build(ScratchModel(), ["flow whales up"], 0, base)
    pair: dict[str, Any] = {"prompt": [{"role": "user", "content": "flow"}]}
    pair |= {side: [{"role": "assistant", "content": side}] for side in ("chosen", "rejected")}
    pairs.write_text(f"{json.dumps(pair)}\n" * 8, encoding="utf-8")
    given: dict[str, Any] = {"model": str(base), "base": None, "attention": "eager", "device": "cpu", "adapter": None}
    given |= {"dataset": str(pairs), "resume": None, "output": str(folder / "trained")}
    given["arguments"] = dpo_arguments(profile(folder), folder / "saving")
    task.write_text(json.dumps(given), encoding="utf-8")
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=0, world_size=1)
    atexit.register(lambda: print(json.dumps({"in group": torch.distributed.is_initialized()}), flush=True))
    sys.argv[1:] = [str(task)]
    runpy.run_module("cortex.trainers.dpo_program", run_name="__main__")


def profile(folder: Path) -> Profile:
    trainer = {"learning_rate": 1e-3, "max_steps": 2, "save_steps": 2, "micro_batch_size": 8}
    raw = {
        "name": "end",
        "domain": {"kind": "markets"},
        "model": {"base": str(folder)},
        "hardware": {"device": "cpu", "threads": 1},
    }
    return Profile.model_validate(raw | {"sft": trainer, "dpo": trainer, "grpo": trainer})


if __name__ == "__main__":
    main()
