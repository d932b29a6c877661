"""What a run's stages wrote, from its bucket: it outlives the machine that wrote it."""

import time
from collections.abc import Callable, Iterator

from cortex.artifacts.store import Store
from cortex.errors import DataError
from cortex.fleet.names import job_name
from cortex.runs.logs import LogName, log_names

FOLLOW_SECONDS = 5.0

OVERLAP = 2048
"""Bytes by which a later look finds where the one before ended."""


def read_logs(store: Store, run: str, stage: str | None = None) -> bytes:
    """The newest attempt's log, or the newest of a stage: its last part.

    Raises:
        DataError: there is none yet.
    """
    newest = _newest(store, run, stage)
    if newest is None:
        what = f"{stage} of run {run}" if stage else f"run {run}"
        raise DataError(
            f"{store.url} has no log of {what}: a machine sends its log once a minute from when a stage begins; what "
            f"comes before that is with SkyPilot: `sky jobs logs --name {job_name(run)}`"
        )
    return store.get(newest.key)


def follow_logs(
    store: Store,
    run: str,
    stage: str | None,
    ended: Callable[[], bool],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[bytes]:
    """What is written from now on, attempt after attempt, until the run has ended."""
    shown, at = b"", None
    while True:
        last = ended()
        newest = _newest(store, run, stage)
        if newest:
            if newest != at:
                shown, at = b"", newest
                yield f"==> {newest.stage}, epoch {newest.epoch} <==\n".encode()
            text = store.get(newest.key)
            yield _new_part(shown, text)
            shown = text
        if last:
            return
        sleep(FOLLOW_SECONDS)


def _newest(store: Store, run: str, stage: str | None) -> LogName | None:
    names = [name for name in log_names(store, run) if stage in (None, name.stage)]
    return max(names, key=lambda name: name.epoch, default=None)


def _new_part(shown: bytes, text: bytes) -> bytes:
    """What of `text` comes after `shown`: both are the last part of one log that grows."""
    if text.startswith(shown):
        return text[len(shown) :]
    at = text.rfind(shown[-OVERLAP:])
    return text[at + min(OVERLAP, len(shown)) :] if at >= 0 else text
