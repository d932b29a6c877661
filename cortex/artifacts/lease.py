"""Who may write for a run. A later taker's epoch is higher, and every earlier holder stops before it publishes."""

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
"""How long a holder goes on at most before it asks again whether it still is one."""

LAST_EPOCH = 99_999_999
"""The last that has eight digits, by which ledgers and logs are sorted."""

_NAME = re.compile(r"[0-9]{8}")


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
        """Take the next epoch: from here on, holders of earlier ones are refused.

        Raises:
            RefusedError: there is no next one.
            StoreError: the store does not answer.
        """
        token = secrets.token_hex(8)
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "token": token}
        # The listing may be stale: then the epoch is found taken, and the next one is tried. Never one further while
        # this one is free: `check` asks for the epoch after its own.
        for epoch in range(_newest(store, run) + 1, LAST_EPOCH + 1):
            if create(store, _key(run, epoch), json.dumps({"epoch": epoch, **holder}, sort_keys=True).encode()):
                return cls(store, run, epoch, token)
        raise RefusedError(f"{store.url}/{_folder(run)} holds epoch {LAST_EPOCH}, the last: start a new run")

    def check(self) -> None:
        """Return while this is the newest epoch, and still ours; every publication asks first.

        A listing finds any higher epoch, but may be stale; so the next one is asked for by its name, too, and last:
        between that answer and what is written on its strength this process makes no other request.

        Raises:
            RefusedError: somebody took the run over.
            StoreError: the store does not answer.
        """
        self._require_own()
        newest = _newest(self.store, self.run)
        if newest > self.epoch:
            self._refuse(newest)
        self._require_newest()

    def checked(self, every: float = CHECK_SECONDS, clock: Callable[[], float] = time.monotonic) -> Callable[[], None]:
        """A function, for any thread, that makes a `check` where the last one began longer than `every` seconds ago."""
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
    def watched(self, every: float = CHECK_SECONDS) -> Generator[Callable[[], None]]:
        """Ask every few seconds, beside the work; the function given raises `RefusedError` once the lease is lost.

        A store that does not answer for a while takes nothing from the holder: `check` still has the last word.
        """
        stop, lost = threading.Event(), list[RefusedError]()

        def watch() -> None:
            while not stop.wait(every):
                try:
                    # Without the listing, which costs as much as ten readings: a hundred hours ask 180,000 times.
                    self._require_own()
                    self._require_newest()
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

    def _require_own(self) -> None:
        if _holder(_read(self.store, _key(self.run, self.epoch))).get("token") != self.token:
            self._refuse(self.epoch)

    def _require_newest(self) -> None:
        # Whatever is in it: what cannot be read was written by somebody, too.
        if _read(self.store, _key(self.run, self.epoch + 1)) is not None:
            self._refuse(self.epoch + 1)

    def _refuse(self, epoch: int) -> None:
        """Say who has the run now, by the epoch that is not ours."""
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
    """The newest epoch, and when it was taken, in seconds since 1970 by the store's clock; zeros where none was.

    Raises:
        StoreError: the store does not answer.
    """
    named = ((entry.key.removeprefix(f"{_folder(run)}/"), entry.modified) for entry in store.list(_folder(run)))
    # Names that are no epoch's are somebody else's.
    return max(((int(name), moment) for name, moment in named if _NAME.fullmatch(name)), default=(0, 0.0))


def _newest(store: Store, run: str) -> int:
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
    """What an entry says of its holder; nothing where it is none."""
    try:
        found: object = json.loads(data or b"")
    except (ValueError, RecursionError):
        return {}
    return cast(dict[str, object], found) if isinstance(found, dict) else {}
