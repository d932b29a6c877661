"""Who may write for a run. A later taker's epoch is higher, and every earlier holder stops before it publishes."""

import json
import os
import secrets
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from loguru import logger

from cortex.artifacts.store import MissingObjectError, Store, StoreError
from cortex.errors import PreemptedError, RefusedError


@dataclass(frozen=True)
class Lease:
    """The right to write for a run until somebody takes the next epoch. Epochs count up from 1 without a gap."""

    store: Store
    run: str
    epoch: int
    token: str
    """What tells this holder's entry from any other's."""

    @classmethod
    def take(cls, store: Store, run: str) -> "Lease":
        """Take the next epoch: from here on, holders of earlier ones are refused."""
        token = secrets.token_hex(8)
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "token": token}
        taken = store.list(_folder(run))
        epoch = 1 + max((int(entry.key.rpartition("/")[2]) for entry in taken), default=0)
        # The listing may be stale: then the epoch is found taken, and the next one is tried.
        while True:
            data = json.dumps({"epoch": epoch, **holder}, sort_keys=True).encode()
            key = _key(run, epoch)
            if store.put_if_absent(key, data) or _read(store, key) == data:
                break
            epoch += 1
        if store.put_if_absent(key, data):
            logger.warning(
                f"{store.url} ignores conditional writes: of two writers that start in one moment, the first "
                "finds out only when it next asks"
            )
        return cls(store, run, epoch, token)

    def check(self) -> None:
        """Return while this is the newest epoch, and still ours; every publication asks first.

        Raises:
            RefusedError: somebody took the run over.
        """
        own = _read(self.store, _key(self.run, self.epoch))
        newer = _read(self.store, _key(self.run, self.epoch + 1))
        holder = json.loads(newer or own or b"{}")
        if newer is not None or holder.get("token") != self.token:
            by = f"{holder['host']} (process {holder['pid']})" if holder else "somebody who deleted its lease"
            raise RefusedError(
                f"run {self.run} was taken over by {by}: epoch {self.epoch} may not write any more; this process stops"
            )

    @contextmanager
    def watched(self, every: float = 2.0) -> Generator[Callable[[], None]]:
        """Ask every few seconds, beside the work; the function given raises `RefusedError` once the lease is lost.

        A store that does not answer for a while takes nothing from the holder: `check` still has the last word.
        """
        stop, lost = threading.Event(), list[RefusedError]()

        def watch() -> None:
            while not stop.wait(every):
                try:
                    self.check()
                except RefusedError as error:
                    lost.append(error)
                    return
                except PreemptedError:
                    return  # whoever waits for the store in this process is being stopped
                except StoreError as error:
                    logger.warning(f"lease of run {self.run} cannot be read: {error}")

        def require() -> None:
            if lost:
                raise lost[0]

        thread = threading.Thread(target=watch, name=f"lease-{self.run}", daemon=True)
        thread.start()
        try:
            yield require
        finally:
            stop.set()


def _folder(run: str) -> str:
    return f"runs/{run}/lease"


def _key(run: str, epoch: int) -> str:
    return f"{_folder(run)}/{epoch:08d}"


def _read(store: Store, key: str) -> bytes | None:
    try:
        return store.get(key)
    except MissingObjectError:
        return None
