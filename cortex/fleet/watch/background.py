"""The watcher's process on this machine: at most one at a time, detached from the terminal that started it."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

LOG_BYTES = 8 * 1024**2
"""Size from which the log is overwritten when a watcher starts."""


def log_path(home: Path) -> Path:
    return home / "watch.log"


@contextmanager
def only_watcher(home: Path) -> Generator[bool]:
    """Hold the lock of this machine's only watcher until the context or process ends; False where another has it."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "watch.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def is_watched(home: Path) -> bool:
    """True where a watcher is at work on this machine."""
    if not (home / "watch.lock").exists():
        return False
    with only_watcher(home) as first:
        return not first


def start_watcher(home: Path) -> int:
    """Start a watcher that outlives this program and its terminal, and ends with the last run; return its process id.

    If one runs already, the new one exits at once.
    """
    home.mkdir(parents=True, exist_ok=True)
    path = log_path(home)
    goes_on = not path.exists() or path.stat().st_size < LOG_BYTES
    with path.open("ab" if goes_on else "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cortex", "watch", "--until-done"],
            env=os.environ | {"CORTEX_HOME": str(home.absolute())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return process.pid
