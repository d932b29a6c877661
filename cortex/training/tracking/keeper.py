"""The small files of a training, kept in the bucket while it goes on: sampled answers, and trackers' own files."""

import threading
from pathlib import Path
from types import TracebackType

from loguru import logger

from cortex.artifacts.patience import Patience
from cortex.artifacts.store import StoreError
from cortex.runs.context import RunContext

EVERY = 60.0
"""Seconds between two looks at what is new."""

LARGE = 8 * 1024**2
"""A file of so many bytes is sent half as often, one of twice as many a third: what grows is sent whole each time."""

SETTLE_SECONDS = 15.0
"""How long the end of a training waits for what is not sent."""

LEAVE_SECONDS = 3.0
"""The same where it did not come to its end: its machine may be going."""


def tracking_folder(context: RunContext, stage: str) -> Path:
    """Where a stage's training puts them; in the bucket they lie under `runs/<run>/<stage>/tracking`."""
    return context.folder(stage) / "tracking"


class Keeper:
    """Sends each file that changed. A bucket that does not answer holds up nobody: the file is sent with the next."""

    def __init__(self, context: RunContext, stage: str, *, every: float = EVERY) -> None:
        self._store = context.store.patient(Patience(deadline=5.0))
        self._folder = tracking_folder(context, stage)
        self._prefix = f"runs/{context.run}/{stage}/tracking"
        self._every = every
        self._sent: dict[Path, tuple[int, int]] = {}
        """Size and time of change of each file when it was sent."""
        self._due: dict[Path, int] = {}
        """How many more looks a large file waits."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def __enter__(self) -> "Keeper":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(SETTLE_SECONDS if error is None else LEAVE_SECONDS)

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            self._send(last=False)
        self._send(last=True)

    def _send(self, *, last: bool) -> None:
        for path in sorted(self._folder.rglob("*")):
            try:
                if path.is_file() and not path.is_symlink() and path.suffix != ".partial":
                    self._send_changed(path, last=last)
            except (StoreError, OSError) as error:
                logger.debug(f"{path.name} is sent with the next: {error}")
                return

    def _send_changed(self, path: Path, *, last: bool) -> None:
        found = path.stat()
        state = (found.st_size, found.st_mtime_ns)
        if self._sent.get(path) == state:
            return
        waits = self._due.get(path, 0)
        if waits and not last:
            self._due[path] = waits - 1
            return
        self._store.put(f"{self._prefix}/{path.relative_to(self._folder).as_posix()}", path.read_bytes())
        self._sent[path] = state
        self._due[path] = found.st_size // LARGE
