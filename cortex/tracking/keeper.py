"""Upload of a training's small files while it runs: sampled answers, and trackers' own files."""

import threading
from pathlib import Path
from types import TracebackType

from loguru import logger

from cortex.artifacts.patience import Patience
from cortex.artifacts.store import StoreError
from cortex.runs.context import RunContext

EVERY = 60.0
"""Seconds between two looks for new files."""

LARGE = 8 * 1024**2
"""Bytes of a file that is sent half as often; one of twice the size a third: a growing file is sent whole each time."""

SETTLE_SECONDS = 15.0
"""Seconds that the end of a training waits for unsent files."""

LEAVE_SECONDS = 3.0
"""The same for a training that was interrupted: its machine may be going away."""


def tracking_folder(context: RunContext, stage: str) -> Path:
    """Local folder of a stage's small files; in the bucket they are under `runs/<run>/<stage>/tracking`."""
    return context.folder(stage) / "tracking"


class Keeper:
    """Sends each changed file from a thread. If the bucket does not answer, the file is sent with the next ones."""

    def __init__(self, context: RunContext, stage: str, *, every: float = EVERY) -> None:
        self._store = context.store.with_patience(Patience(deadline=5.0))
        self._folder = tracking_folder(context, stage)
        self._prefix = f"runs/{context.run}/{stage}/tracking"
        self._every = every
        self._sent: dict[Path, tuple[int, int]] = {}
        """Size and modification time of each file when it was sent."""
        self._due: dict[Path, int] = {}
        """Looks for which a large file still waits."""
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
