"""Check that a saved checkpoint holds all files that an exact continuation needs, in each trainer's layout."""

import json
from collections.abc import Iterable
from pathlib import Path

STATE = "trainer_state.json"

_WEIGHTS = ("model*.safetensors", "adapter_model*.safetensors", "pytorch_model_fsdp_*/.metadata", "pytorch_model*.bin")
_OPTIMIZER = ("optimizer.pt", "optimizer.bin", "optimizer_*/.metadata", "global_step*/*_optim_states.pt")


def lacking(folder: Path, step: int, ranks: int) -> list[str]:
    """The parts that a checkpoint of this step, saved by `ranks` processes, lacks; empty when it is complete.

    Files of the Hugging Face Trainer: weights or an adapter, the optimizer, the learning-rate schedule, the random
    state of every rank, and the state that says which batch comes next. A sharded part is a folder in the format of
    `torch.distributed.checkpoint`, whose `.metadata` is written last; a rank writes its random state after its shards.
    With DeepSpeed's ZeRO each rank writes two files; at the end the first rank writes `latest`, their folder's name.
    """
    found: list[str] = []
    if not _any(folder, _WEIGHTS):
        found.append("weights")
    if not _any(folder, _OPTIMIZER):
        found.append("optimizer state")
    if not (folder / "scheduler.pt").is_file():
        found.append("scheduler.pt")
    random = ["rng_state.pth"] if ranks == 1 else [f"rng_state_{rank}.pth" for rank in range(ranks)]
    found += [name for name in random if not (folder / name).is_file()]
    shards = folder / f"global_step{step}"
    if shards.is_dir():
        names = [
            f"zero_pp_rank_{rank}_mp_rank_00_{part}_states.pt" for rank in range(ranks) for part in ("model", "optim")
        ]
        found += [name for name in names if not any(shards.glob(f"*{name}"))]
        found += [] if (folder / "latest").is_file() else ["latest"]
    saved = _saved_step(folder / STATE)
    if saved is None:
        found.append(STATE)
    elif saved != step:
        found.append(f"{STATE} of step {step} (it is of step {saved})")
    return found


def _any(folder: Path, patterns: Iterable[str]) -> bool:
    return any(path.stat().st_size for pattern in patterns for path in folder.glob(pattern))


def _saved_step(path: Path) -> int | None:
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["global_step"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
