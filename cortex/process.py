"""Programs that a stage or the rehearsal starts: they never outlive the process that started them."""

import asyncio
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
        # The group may outlive its leader: programs that it started and left behind end here too.
        _signal_group(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        kill_group(process)
        process.wait()


def kill_group(process: "subprocess.Popen[str]") -> None:
    """Kill a program that `running` started, and all programs that it started itself."""
    _signal_group(process, signal.SIGKILL)


class _Terminated(SystemExit):
    """SIGTERM as an exception that passes every `except Exception`, whose handler would take it for a fault."""


@contextmanager
def terminable() -> Generator[None]:
    """Turn SIGTERM into a `PreemptedError`, so that the block is left as by any other error.

    A signal handler's exception is raised wherever the program happens to be, so within the block it travels as
    SystemExit. In an event loop it could be raised in any callback, which would log it and go on: there, all tasks are
    cancelled instead, as asyncio does for Ctrl-C. After SIGTERM the block always ends with `PreemptedError`, even if it
    ended with the cancellation, with the fault of a connection that broke meanwhile, or without an error, because a
    finalizer swallowed it. Only a program's main thread receives signals: in other threads this does nothing.

    Raises:
        PreemptedError: SIGTERM came.
    """
    came = False

    def leave(number: int, frame: object) -> None:
        nonlocal came
        del number, frame
        came = True
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise _Terminated(PreemptedError.exit_code) from None
        for task in asyncio.all_tasks(loop):
            loop.call_soon_threadsafe(task.cancel)  # wakes a waiting loop, which `task.cancel` alone does not

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ended: BaseException | None = None
    before = signal.signal(signal.SIGTERM, leave)
    try:
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
    except BaseException as error:
        if not came:
            raise
        ended = error
    if came:
        raise PreemptedError("SIGTERM: what is done is kept; the same command continues") from ended


def thread_variables(threads: int) -> dict[str, str]:
    """Variables that fix the number of threads of numerical libraries, so that sums come out the same.

    The libraries read them when they are imported. Idle threads sleep rather than spin, which costs little on an idle
    machine and saves much on a busy one.
    """
    return {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}


def _signal_group(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
