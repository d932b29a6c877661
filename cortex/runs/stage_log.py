"""A stage's log: kept in a file on its machine, with its end sent to the bucket while the stage runs.

The output of the stage and its programs passes through `tee`, a separate process that signals to the stage's process
group do not end. A thread in the stage's own process could be blocked by the very code that writes.
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
"""Seconds between two uploads of the log's end."""

TAIL = 256 * 1024
"""Bytes of a log's end that are uploaded."""

SETTLE_SECONDS = 20.0
"""Seconds that a stage waits, at its end, for its last output to be written and uploaded."""

_KEY = re.compile(r".*/(?P<epoch>\d{8})-(?P<stage>[a-z_]+)\.log")


@dataclass(frozen=True)
class LogName:
    """One attempt's log in the bucket."""

    key: str
    epoch: int
    stage: str


def log_key(run: str, epoch: int, stage: str) -> str:
    return f"{_folder(run)}/{epoch:08d}-{stage}.log"


def log_names(store: Store, run: str) -> list[LogName]:
    """A run's logs in the bucket."""
    found = [_KEY.fullmatch(entry.key) for entry in store.list(_folder(run))]
    return [LogName(name[0], int(name["epoch"]), name["stage"]) for name in found if name]


@contextmanager
def keep_log(store: Store, run: str, epoch: int, stage: str, work: Path, *, every: float = EVERY) -> Generator[Path]:
    """Keep the output of this process and its children in a file of `work`, and the file's end in the bucket."""
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
    """Copy everything that is written to a descriptor into a file."""
    shell, program = shutil.which("sh"), shutil.which("tee")
    if not shell or not program:
        yield
        return
    sys.stdout.flush()
    before = os.dup(descriptor)
    # Ignored signals stay ignored over `exec`: after a signal the stage still has output to write.
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
    patient, sent = store.with_patience(Patience(deadline=5.0)), -1
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
