"""Logs of a run's stages, read from its bucket, where they outlive the machine."""

import time
from collections.abc import Callable, Iterator

from cortex.artifacts.store import Store
from cortex.errors import DataError
from cortex.fleet.clouds.job_names import job_name
from cortex.runs.stage_log import LogName, log_names

FOLLOW_SECONDS = 5.0

OVERLAP = 2048
"""Last bytes of the text shown before, which are searched for in the next text to find what is new."""


def read_logs(store: Store, run: str, stage: str | None = None) -> bytes:
    """The last part of the newest attempt's log, of one stage or of any.

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
    """New parts of the log as they are written, attempt after attempt, until `ended` is true."""
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
    """The part of `text` after `shown`; both are the end of the same growing log, read at different times."""
    if text.startswith(shown):
        return text[len(shown) :]
    at = text.rfind(shown[-OVERLAP:])
    return text[at + min(OVERLAP, len(shown)) :] if at >= 0 else text
