"""The lease: the right to write for a run. Each new holder takes a higher epoch; earlier holders then stop writing."""

import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from loguru import logger

from cortex.artifacts.creating import create
from cortex.artifacts.store import MissingObjectError, Store, StoreError
from cortex.errors import PreemptedError, RefusedError
from cortex.text import harmless

CHECK_SECONDS = 2.0
"""Longest time between two checks of a holder that it still has the lease."""

LAST_EPOCH = 99_999_999
"""The last epoch with eight digits: keys of ledgers and logs are sorted by them."""

_NAME = re.compile(r"[0-9]{8}")


@dataclass(frozen=True)
class Lease:
    """The right to write for a run until somebody takes the next epoch. Epochs count up from 1 without a gap."""

    store: Store
    run: str
    epoch: int
    token: str
    """A random text that identifies this holder's entry."""

    @classmethod
    def take(cls, store: Store, run: str) -> "Lease":
        """Take the next epoch: from now on, holders of earlier epochs are refused.

        Raises:
            RefusedError: there is no next epoch.
            StoreError: the store does not answer.
        """
        token = secrets.token_hex(8)
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "token": token}
        # The listing may be stale: then the epoch turns out to be taken, and the next is tried. No epoch may be
        # skipped, since `check` looks only for the epoch after its own.
        for epoch in range(_newest_epoch(store, run) + 1, LAST_EPOCH + 1):
            if create(store, _key(run, epoch), json.dumps({"epoch": epoch, **holder}, sort_keys=True).encode()):
                return cls(store, run, epoch, token)
        raise RefusedError(f"{store.url}/{_folder(run)} holds epoch {LAST_EPOCH}, the last: start a new run")

    def check(self) -> None:
        """Return if this is the newest epoch and its entry is this holder's; called before every publication.

        A listing finds any higher epoch, but may be stale. So the next epoch is also read by its key, as the last
        request: nothing comes between its answer and the write that relies on it.

        Raises:
            RefusedError: somebody took the run over.
            StoreError: the store does not answer.
        """
        self._require_own()
        newest = _newest_epoch(self.store, self.run)
        if newest > self.epoch:
            self._raise_taken_over(newest)
        self._require_newest()

    def throttled_check(
        self, every: float = CHECK_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> Callable[[], None]:
        """A function, for any thread, that calls `check` if the last call began at least `every` seconds ago."""
        lock, began = threading.Lock(), float("-inf")

        def check() -> None:
            nonlocal began
            with lock:
                now = clock()
                if now - began >= every:
                    self.check()
                    began = now

        return check

    @contextmanager
    def watch(self, every: float = CHECK_SECONDS) -> Generator[Callable[[], None]]:
        """Check the lease in a thread; the yielded function raises `RefusedError` once it is lost.

        A store that does not answer for a while does not end the lease: `check` decides before a publication.
        """
        stop, lost = threading.Event(), list[RefusedError]()

        def keep_checking() -> None:
            while not stop.wait(every):
                try:
                    # Without the listing, which costs as much as ten reads: a hundred hours make 180,000 checks.
                    self._require_own()
                    self._require_newest()
                except RefusedError as error:
                    lost.append(error)
                    return
                except PreemptedError:
                    return  # this process is being stopped, and requests to the store with it
                except StoreError as error:
                    logger.warning(f"lease of run {self.run} cannot be read: {error}")

        def require() -> None:
            if lost:
                raise lost[0]

        thread = threading.Thread(target=keep_checking, name=f"lease-{self.run}", daemon=True)
        thread.start()
        try:
            yield require
        finally:
            stop.set()

    def _require_own(self) -> None:
        if _holder(_read(self.store, _key(self.run, self.epoch))).get("token") != self.token:
            self._raise_taken_over(self.epoch)

    def _require_newest(self) -> None:
        # Whatever it holds: an entry that cannot be parsed was written by another holder, too.
        if _read(self.store, _key(self.run, self.epoch + 1)) is not None:
            self._raise_taken_over(self.epoch + 1)

    def _raise_taken_over(self, epoch: int) -> None:
        """Raise the error that says who holds the run now, from the entry of the other epoch."""
        data = _read(self.store, _key(self.run, epoch))
        match _holder(data):
            case {"host": str() as host, "pid": int() as pid}:
                by = f"{harmless(host, limit=80)} (process {pid})"
            case _:
                by = "somebody who deleted its lease" if data is None else f"an entry that is none (epoch {epoch})"
        raise RefusedError(
            f"run {self.run} was taken over by {by}: epoch {self.epoch} may not write any more; this process stops"
        )


def last_taken(store: Store, run: str) -> tuple[int, float]:
    """The newest epoch and the time it was taken, in seconds since 1970 by the store's clock; zeros where none was.

    Raises:
        StoreError: the store does not answer.
    """
    named = ((entry.key.removeprefix(f"{_folder(run)}/"), entry.modified) for entry in store.list(_folder(run)))
    # Other names are not the kit's.
    return max(((int(name), moment) for name, moment in named if _NAME.fullmatch(name)), default=(0, 0.0))


def _newest_epoch(store: Store, run: str) -> int:
    """The highest epoch of a listing; 0 for none."""
    return last_taken(store, run)[0]


def _folder(run: str) -> str:
    return f"runs/{run}/lease"


def _key(run: str, epoch: int) -> str:
    return f"{_folder(run)}/{epoch:08d}"


def _read(store: Store, key: str) -> bytes | None:
    try:
        return store.get(key)
    except MissingObjectError:
        return None


def _holder(data: bytes | None) -> dict[str, object]:
    """The holder that an entry names; empty if the entry cannot be parsed."""
    try:
        found: object = json.loads(data or b"")
    except (ValueError, RecursionError):
        return {}
    return cast(dict[str, object], found) if isinstance(found, dict) else {}
