"""Coordination of the processes of one trainer."""

import atexit
import os
import sys
from typing import NoReturn

import torch


def barrier() -> None:
    """Wait until every rank is here."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()


def highest(value: int) -> int:
    """The highest of all ranks' values."""
    if not torch.distributed.is_initialized():
        return value
    said = torch.tensor([value], device="cuda" if torch.distributed.get_backend() == "nccl" else "cpu")
    torch.distributed.all_reduce(said, op=torch.distributed.ReduceOp.MAX)
    return int(said.item())


def leave(code: int = 0) -> NoReturn:
    """End this process where all ranks end normally; `code` is its exit code.

    With several ranks it skips the interpreter's own shutdown, which would cut off threads of the process group (gloo,
    NCCL) inside C++ code and end the process by SIGABRT ("terminate called without an active exception") though its
    work is done. No call waits for gloo's threads while anything refers to the group.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        sys.exit(code)
    atexit._run_exitfuncs()  # the exit handlers that libraries registered
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
