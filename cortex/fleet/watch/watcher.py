"""`cortex watch`: repeated looks at every run that SkyPilot's server knows, from the machine of that server."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from loguru import logger

from cortex.artifacts.open_store import open_store
from cortex.artifacts.patience import Patience
from cortex.errors import CortexError
from cortex.fleet.watch.kit_jobs import KitJob, WatchedJobs
from cortex.fleet.watch.run_watch import RunWatch
from cortex.text import harmless

EVERY = 20.0
"""Seconds between two looks."""

PATIENCE = Patience(deadline=15.0)
"""Short patience with a bucket, since the next look asks it again."""


@dataclass
class Watcher:
    """Watches all runs of the kit on one server."""

    jobs: WatchedJobs
    _runs: dict[tuple[str, str], RunWatch] = field(default_factory=dict[tuple[str, str], RunWatch])
    _settled: set[tuple[str, str, int]] = field(default_factory=set[tuple[str, str, int]])
    _faults: dict[str, str] = field(default_factory=dict[str, str])
    """Last fault by run, or of SkyPilot, so that each is logged once and not in every look."""

    def look(self) -> bool:
        """Look at each run once, and return True while there is anything left to watch, or that is not known."""
        try:
            known = self.jobs.known()
        except CortexError as error:
            self._fault("SkyPilot", error)
            return True
        self._faults.pop("SkyPilot", None)
        left = [self._look(job) for job in known]
        return any(left)

    @property
    def faults(self) -> tuple[str, ...]:
        """The faults of the last look."""
        return tuple(self._faults.values())

    def _look(self, job: KitJob) -> bool:
        key = (job.bucket, job.run, job.number)
        if key in self._settled:
            return False
        try:
            watch = self._runs.get(key[:2])
            if watch is None:
                watch = RunWatch(open_store(job.bucket).with_patience(PATIENCE), job.run, self.jobs)
                self._runs[key[:2]] = watch
                logger.info(f"watching run {harmless(job.run)} in {harmless(job.bucket)}")
            left = watch.look(job)
        except CortexError as error:
            self._fault(job.run, error)
            return True
        self._faults.pop(job.run, None)
        if job.ended and not left:
            self._settled.add(key)
        return left

    def _fault(self, what: str, error: CortexError) -> None:
        words = harmless(error)
        if self._faults.get(what) != words:
            logger.warning(f"{words}: nothing is ended for that; asked again")
        self._faults[what] = words


def watch_runs(
    watcher: Watcher,
    only: Callable[[], AbstractContextManager[bool]],
    every: float = EVERY,
    *,
    until_done: bool,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Look until Ctrl-C; with `until_done`, until no run is left. False where another watcher is at work.

    Args:
        only: context manager that makes this the machine's only watcher; False where it is not.
    """
    while True:
        with only() as first:
            if not first:
                return False
            while watcher.look() or not until_done:
                sleep(every)
        # Look once more without the lock: a launch that saw this watcher, and so started none, had already submitted
        # its run.
        if not watcher.look():
            return True
