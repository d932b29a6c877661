"""One server for each service on a machine: a second one would empty the folder that the first works in."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from cortex.errors import RefusedError


@contextmanager
def sole_server(folder: Path) -> Generator[None]:
    """Hold the lock beside a service's folder; the kernel releases it when this process ends.

    Raises:
        RefusedError: another server of this machine holds it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusedError(
                f"{folder} is in use by another server of service {folder.name}: end it, or name another --service"
            ) from error
        yield
