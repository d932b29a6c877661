"""A stage's output, kept on its machine and, its last part, in the bucket, while the stage goes on.

What the stage and its programs write passes through `tee`, in a process of its own that no signal to the stage's
group ends: a thread in the stage's process could be held up by the very code that writes.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from cortex.artifacts.patience import Patience
from cortex.artifacts.store import Store, StoreError

EVERY = 60.0
"""Seconds between two sendings."""

TAIL = 256 * 1024
"""Bytes of a log's end that are sent."""

SETTLE_SECONDS = 20.0
"""How long the end of a stage waits for the last of its output."""

_KEY = re.compile(r".*/(?P<epoch>\d{8})-(?P<stage>[a-z]+)\.log")


@dataclass(frozen=True)
class LogName:
    """One attempt's log in the bucket."""

    key: str
    epoch: int
    stage: str


def log_key(run: str, epoch: int, stage: str) -> str:
    return f"{_folder(run)}/{epoch:08d}-{stage}.log"


def log_names(store: Store, run: str) -> list[LogName]:
    """The logs that a run has in its bucket."""
    found = [_KEY.fullmatch(entry.key) for entry in store.list(_folder(run))]
    return [LogName(name[0], int(name["epoch"]), name["stage"]) for name in found if name]


@contextmanager
def logged(store: Store, run: str, epoch: int, stage: str, work: Path, *, every: float = EVERY) -> Generator[Path]:
    """Keep what this process and those that it starts write: in a file of `work`, and the file's end in the bucket."""
    path = work / "logs" / Path(log_key(run, epoch, stage)).name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    stopping = threading.Event()
    sender = threading.Thread(
        target=_send_each, args=(store, log_key(run, epoch, stage), path, stopping, every), name="log", daemon=True
    )
    sender.start()
    try:
        with _tee(path, sys.stdout.fileno()), _tee(path, sys.stderr.fileno()):
            yield path
    finally:
        stopping.set()
        sender.join(SETTLE_SECONDS)


@contextmanager
def _tee(path: Path, descriptor: int) -> Generator[None]:
    """Have what is written to a descriptor written to a file, too."""
    shell, program = shutil.which("sh"), shutil.which("tee")
    if not shell or not program:
        yield
        return
    sys.stdout.flush()
    before = os.dup(descriptor)
    # Signals that are ignored stay so over `exec`: the stage may be asked to leave, and still has things to say.
    script = 'trap "" INT TERM HUP; exec "$0" -a "$1"'
    tee = subprocess.Popen(
        [shell, "-c", script, program, str(path)], stdin=subprocess.PIPE, stdout=before, start_new_session=True
    )
    assert tee.stdin
    os.dup2(tee.stdin.fileno(), descriptor)
    tee.stdin.close()
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(before, descriptor)
        os.close(before)
        try:
            tee.wait(SETTLE_SECONDS)
        except subprocess.TimeoutExpired:
            logger.debug("something that the stage started still writes; its log goes on without it")


def _send_each(store: Store, key: str, path: Path, stopping: threading.Event, every: float) -> None:
    patient, sent = store.patient(Patience(deadline=5.0)), -1
    while True:
        last = stopping.wait(every)
        size = path.stat().st_size
        if size != sent:
            with path.open("rb") as file:
                file.seek(max(0, size - TAIL))
                tail = file.read(TAIL)
            try:
                patient.put(key, tail)
                sent = size
            except StoreError as error:
                logger.debug(f"{error}: the log is sent with the next")
        if last:
            return


def _folder(run: str) -> str:
    return f"runs/{run}/logs"
