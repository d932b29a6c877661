"""Preemption notices: this machine is about to be taken away, by its cloud's metadata service or by SIGTERM.

SkyPilot, Slurm and Kubernetes send SIGTERM; AWS, Google Cloud and Azure answer requests.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Self

from loguru import logger

from cortex.runs.metadata.endpoints import Endpoints
from cortex.runs.metadata.metadata_client import AbsentError, MetadataError
from cortex.runs.metadata.metadata_source import Advice, Reclaim, Source

SIGTERM = "SIGTERM"
"""The source of a notice by signal."""

SIGTERM_SECONDS = 25.0
"""Seconds from SIGTERM to SIGKILL: Slurm's and Kubernetes' thirty, less a margin."""

LONGEST_PAUSE = 15.0
"""Most seconds before a failing service is asked again: half of the shortest notice."""


@dataclass(frozen=True)
class Notice:
    """A notice that the machine is being taken away."""

    source: str
    """The notice's origin: `aws spot instance-action`, `gcp preempted`, `gcp maintenance-event`, `azure Preempt` (or
    Terminate, Redeploy, Reboot), `SIGTERM`."""
    deadline: float
    """The time by which all must be saved, in seconds of `time.monotonic()`: a margin before the machine goes."""
    text: str
    """A line for the log and the ledger."""

    @property
    def gone_by(self) -> float | None:
        """The time at which the machine goes, if its cloud gave it; None for a signal, which tells nothing of it."""
        return None if self.source.endswith(SIGTERM) else self.deadline


class Watch:
    """Watches for a notice from entry to exit of the block. Failures of a metadata service are logged, never raised.

    The first SIGTERM is a notice; a second one does what it would have done without the watch. Threads other than the
    main thread cannot handle signals: there only the cloud is watched. The caller logs the notice.
    """

    def __init__(
        self,
        asked: Sequence[Source] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        signals: bool = True,
    ) -> None:
        """By default `asked` follows the clouds' own environment variables. Raises ConfigError for a bad address.

        Without `signals` SIGTERM is left to the program, and only the cloud is watched.
        """
        self._sources = Endpoints.from_environment(os.environ).sources() if asked is None else asked
        self._clock, self._signals = clock, signals
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._said: set[str] = set()
        self._by_cloud: Notice | None = None
        self._by_signal: Notice | None = None
        self._advice: tuple[Advice, ...] = ()
        self._previous: Any = None

    @property
    def notice(self) -> Notice | None:
        """The notice with the earliest deadline so far."""
        known = [notice for notice in (self._by_cloud, self._by_signal) if notice is not None]
        return min(known, key=lambda notice: notice.deadline, default=None)

    @property
    def advice(self) -> tuple[Advice, ...]:
        """The cloud's notices so far that are for the ledger and no reason to stop."""
        return self._advice

    def __enter__(self) -> Self:
        if self._signals:
            self._catch_sigterm()
        for source in self._sources:
            thread = threading.Thread(target=self._follow, args=(source,), name="notice", daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        for source in self._sources:
            source.interrupt()
        for thread in self._threads:
            # A look-up of an endpoint's name cannot be interrupted; such a thread ends with the process.
            thread.join(timeout=2)
        if signal.getsignal(signal.SIGTERM) == self._on_sigterm:
            signal.signal(signal.SIGTERM, self._previous)

    def _catch_sigterm(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            logger.info("SIGTERM is not watched for: this is not the main thread")
            return
        self._previous = signal.getsignal(signal.SIGTERM)
        if self._previous is None:
            logger.info("SIGTERM is not watched for: a handler that Python does not know of has it")
            return
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        # No lock and no log, since the interrupted code may hold the lock of either.
        self._by_signal = Notice(SIGTERM, self._clock() + SIGTERM_SECONDS, "SIGTERM: this machine is to be given up")
        signal.signal(signal.SIGTERM, self._previous)
        if isinstance(getattr(self._previous, "__self__", None), Watch):
            self._previous(number, frame)

    def _follow(self, source: Source) -> None:
        """Follow one source, in a thread of its own, so that a held or failing request delays no other source."""
        on_cloud, failures = False, 0
        while not self._stopping.is_set():
            try:
                if not on_cloud:
                    on_cloud = source.probe()
                    if not on_cloud:
                        return
                    self._log_once("INFO", f"watching {source.cloud} for a notice")
                for word in source.ask():
                    self._add_notice(word)
                failures = 0
            except MetadataError as error:
                if self._stopping.is_set() or (isinstance(error, AbsentError) and not on_cloud):
                    return
                self._log_once("WARNING", f"{error}: it is asked again, and the run goes on")
                failures = min(failures + 1, 8)
            self._stopping.wait(min(source.interval * 2**failures, max(source.interval, LONGEST_PAUSE)))

    def _add_notice(self, word: Reclaim | Advice) -> None:
        # Only the first of equal notices counts: a notice without a time would start its period anew each time.
        with self._lock:
            if word.text in self._said:
                return
            self._said.add(word.text)
            if isinstance(word, Reclaim):
                notice = Notice(word.source, self._clock() + word.seconds, word.text)
                if self._by_cloud is None or notice.deadline < self._by_cloud.deadline:
                    self._by_cloud = notice
            else:
                self._advice += (word,)
                logger.warning(word.text)

    def _log_once(self, level: str, text: str) -> None:
        with self._lock:
            if text not in self._said:
                self._said.add(text)
                logger.log(level, text)
