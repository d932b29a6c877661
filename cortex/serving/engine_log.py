"""Logs of engines: a file for each start of a gateway, cut to its last part before it fills the disk."""

import fcntl
from pathlib import Path

from cortex.settings import Settings
from cortex.text import harmless

LOG_BYTES = 5_000_000
"""Size at which a log is cut to its last half. An engine that prints much exceeds it until the next look."""

KEPT = 5
"""Logs of ended gateways to keep."""


def log_file(settings: Settings, name: str, port: int) -> Path:
    """The log of the engine of this name at this port; those of gateways that ended long ago are removed."""
    logs = settings.home.absolute() / "serving"
    logs.mkdir(parents=True, exist_ok=True)
    ended = [path for path in logs.glob("engine*.log") if not _in_use(path)]
    for path in sorted(ended, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
        path.unlink(missing_ok=True)
    return logs / f"engine-{name}-{port}.log"


def hold(log: int) -> None:
    """Mark an open log as in use, until every process that has it open has closed it or ended."""
    fcntl.flock(log, fcntl.LOCK_SH)


def _in_use(path: Path) -> bool:
    with path.open("rb") as log:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def trim(log: Path) -> None:
    """Cut a log that is too large to its last half, from the beginning of a line on.

    Its writers must append: then they go on at its new end. A line that one writes at this moment may be lost.
    """
    if log.stat().st_size <= LOG_BYTES:
        return
    kept = _tail(log, LOG_BYTES // 2)
    with log.open("r+b") as file:
        file.write(kept.partition(b"\n")[2])
        file.truncate()


def last_error(log: Path) -> str:
    """The last line of a log that is an error, or else its last line."""
    if not log.is_file():
        return "it printed nothing"
    lines = _tail(log, 20_000).decode(errors="replace").splitlines()
    telling = [line for line in lines if "Error" in line] or lines
    return harmless(telling[-1], limit=300) if telling else "it printed nothing"


def _tail(log: Path, most: int) -> bytes:
    with log.open("rb") as file:
        file.seek(-min(most, log.stat().st_size), 2)
        return file.read()
