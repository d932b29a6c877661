"""A program of the grpo image: which arguments do TRL's, PEFT's and Accelerate's own classes accept?

Reads a JSON list of {name, kind, arguments, gpus} from standard input; its last line maps each name to null, or to why
not. A case for N GPUs is built in N processes that are joined as torchrun joins them, since TRL checks batches against
their number.
"""

import json
import multiprocessing
import os
import socket
import sys
from itertools import groupby
from typing import Any

import torch.distributed as dist
from accelerate.utils import FullyShardedDataParallelPlugin
from peft import LoraConfig
from trl import DistillationConfig, DPOConfig, GRPOConfig, KTOConfig, RewardConfig

_CLASSES = {
    "grpo": GRPOConfig,
    "dpo": DPOConfig,
    "kto": KTOConfig,
    "reward_model": RewardConfig,
    "distill": DistillationConfig,
}


def refusal(kind: str, arguments: dict[str, Any]) -> str | None:
    """The reason why the class of this kind would not take the arguments."""
    try:
        if kind == "lora":
            LoraConfig(**arguments)
        else:
            # the way that transformers' own message names to build bf16 arguments where there is no GPU
            built = _CLASSES[kind](**{**arguments, "use_cpu": True})
            if built.fsdp:
                FullyShardedDataParallelPlugin(**built.fsdp_plugin_args)
    except (TypeError, ValueError, KeyError) as error:
        return str(error)
    return None


def judge(cases: list[dict[str, Any]], processes: int) -> dict[str, str | None]:
    """The refusals, as the first of so many joined processes sees them."""
    fork = multiprocessing.get_context("fork")  # the libraries are imported once
    answers = fork.SimpleQueue()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [fork.Process(target=_rank, args=(rank, processes, port, cases, answers)) for rank in range(processes)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    if any(rank.exitcode for rank in ranks):
        sys.exit(f"exit codes of the {processes} processes: {[rank.exitcode for rank in ranks]}")
    return answers.get()


def _rank(rank: int, processes: int, port: int, cases: list[dict[str, Any]], answers: Any) -> None:
    if processes > 1:
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(processes),
            "LOCAL_WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
    refusals = {case["name"]: refusal(case["kind"], case["arguments"]) for case in cases}
    if rank == 0:
        answers.put(refusals)
    if dist.is_initialized():
        dist.barrier()  # a rank that leaves while others still join makes their joining fail


def main() -> None:
    refusals: dict[str, str | None] = {}
    cases = sorted(json.load(sys.stdin), key=lambda case: case["gpus"])
    for gpus, alike in groupby(cases, key=lambda case: case["gpus"]):
        refusals |= judge(list(alike), max(1, gpus))
    print(json.dumps(refusals))


if __name__ == "__main__":
    main()
