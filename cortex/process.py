"""Programs that a stage or the rehearsal starts: they never outlive the one that started them."""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from cortex.errors import PreemptedError


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdout: int | IO[Any] | None = None,
    stderr: int | IO[Any] | None = None,
    pass_fds: Sequence[int] = (),
) -> Generator["subprocess.Popen[str]"]:
    """Start a program in a process group of its own; leaving the block ends the group, by SIGTERM, then SIGKILL.

    Where util-linux is installed, the kernel kills the program when its starter dies, even by SIGKILL.
    """
    setpriv = shutil.which("setpriv")
    process = subprocess.Popen(
        [*([setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []), *map(str, command)],
        env=dict(env) if env is not None else None,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
        pass_fds=pass_fds,
        process_group=0,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        # The group may outlive the program that leads it: what that one started and left behind ends here too.
        _signal_group(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        kill_group(process)
        process.wait()


def kill_group(process: "subprocess.Popen[str]") -> None:
    """End a program that `running` started, with all that it started, now."""
    _signal_group(process, signal.SIGKILL)


@contextmanager
def terminable() -> Generator[None]:
    """Make SIGTERM an error of the kit's own, so that what is under way is left as by any other error.

    Only a program's main thread can take signals: in another, nothing changes.

    Raises:
        PreemptedError: SIGTERM came.
    """

    def leave(number: int, frame: object) -> None:
        del number, frame
        raise PreemptedError("SIGTERM: what is done is kept; the same command continues")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def thread_variables(threads: int) -> dict[str, str]:
    """What fixes the threads of numerical libraries, for sums to come out the same; read when those are imported.

    Idle threads sleep rather than spin, which costs little alone and saves much on a busy machine.
    """
    return {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}


def _signal_group(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
