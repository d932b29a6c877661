"""What the processes of one trainer agree on."""

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
    """The highest of what the ranks say, each its own."""
    if not torch.distributed.is_initialized():
        return value
    said = torch.tensor([value], device="cuda" if torch.distributed.get_backend() == "nccl" else "cpu")
    torch.distributed.all_reduce(said, op=torch.distributed.ReduceOp.MAX)
    return int(said.item())


def leave(code: int = 0) -> NoReturn:
    """End this process where all ranks end as they should; `code` is its exit code.

    Of several, none is left to the interpreter's end. A thread of the ranks' group (gloo's, NCCL's) that still works
    then is cut off inside C++ code, which ends the process by SIGABRT ("terminate called without an active exception")
    though all of its work is done; and no call waits for gloo's threads while anything refers to the group.
    """
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        sys.exit(code)
    atexit._run_exitfuncs()  # what libraries have asked for
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
