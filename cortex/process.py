"""Programs that a stage or the rehearsal starts: they never outlive the one that started them."""

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
        # The group may outlive the program that leads it: what that one started and left behind ends here too.
        _signal_group(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        kill_group(process)
        process.wait()


def kill_group(process: "subprocess.Popen[str]") -> None:
    """End a program that `running` started, with all that it started, now."""
    _signal_group(process, signal.SIGKILL)


class _Terminated(SystemExit):
    """SIGTERM on its way out of what is under way, past every `except Exception` that would take it for a fault."""


@contextmanager
def terminable() -> Generator[None]:
    """Make SIGTERM an error of the kit's own, so that what is under way is left as by any other error.

    A handler's exception arises wherever the program happens to be, so within the block it travels as SystemExit. In
    an event loop it would arise in any callback, which would log it and go on: there, all tasks are cancelled instead,
    as asyncio does for Ctrl-C. Once SIGTERM came, it is why the block ends, however that ends: with the cancellation,
    with the fault of a connection that broke on the way out, or as if nothing had been, where a finalizer swallowed it.
    Only a program's main thread can take signals: in another, nothing changes.

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
            loop.call_soon_threadsafe(task.cancel)  # which wakes a loop that waits, as `task.cancel` would not

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
    """What fixes the threads of numerical libraries, for sums to come out the same; read when those are imported.

    Idle threads sleep rather than spin, which costs little alone and saves much on a busy machine.
    """
    return {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}


def _signal_group(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
