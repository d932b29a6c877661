"""The meter of a machine that works for a run: it enters the machine's cost, stops the work at the cap, and decides
when a run with a deadline gives up its machine on demand for a try at spot.

It runs beside the stages of one program, in two threads: one writes and reads the ledger, and may have to wait for the
bucket; the other watches the clock, and never waits.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from loguru import logger

from cortex.artifacts.patience import Patience
from cortex.artifacts.store import Store, StoreError
from cortex.clock import steady_time
from cortex.errors import BudgetError, ConfigError, CortexError, DataError, MovedError
from cortex.runs.budget import WARN, cap, duration_cap, launched_at, over_budget, over_time, spent
from cortex.runs.deadline_standing import Deadline, judge
from cortex.runs.ledger import Event, Ledger, LedgerReader
from cortex.runs.machine import Machine, identify
from cortex.runs.metadata.endpoints import Endpoints
from cortex.runs.metadata.metadata_source import Identity
from cortex.runs.price_list import PriceList
from cortex.text import harmless

EVERY = 60.0
"""Seconds between two signs of life, and between two readings of the other machines' cost."""

GRACE = 600.0
"""Seconds from reaching the cap to SIGTERM: for a training step and its checkpoint, or for an item of another stage."""

LOOK_SECONDS = 0.5
"""Seconds between two checks of the cap."""

PATIENCE = Patience(deadline=5.0)
"""Retries of the meter's requests: an event that the bucket does not take is held until the next sign of life."""

IDENTIFY_SECONDS = 15.0
"""Longest wait for the machine's cloud to say which machine this is, before the first stage begins."""

LAST_SECONDS = 10.0
"""Seconds that the exit waits for the machine's last entry."""


class Meter:
    """Meters this machine from entry to exit of the block, under the epochs of its stages."""

    def __init__(
        self,
        store: Store,
        run: str,
        budget: float,
        task: str,
        *,
        nodes: int = 1,
        max_duration: float = 0.0,
        asked: Sequence[Identity] | None = None,
        clock: Callable[[], float] = steady_time,
        every: float = EVERY,
        grace: float = GRACE,
    ) -> None:
        """`budget` is the profile's, in dollars, and `max_duration` its hours; 0 sets no limit. `task` names this
        program's stages. `nodes` machines like this one work together and are metered as one. `clock` must not jump,
        since its differences are the paid time."""
        self._run, self._budget, self._task = run, budget, task
        self._max_duration = max_duration
        self._nodes = nodes
        self._asked, self._clock, self._every, self._grace = asked, clock, every, grace
        self._store = store.with_patience(PATIENCE)
        self._prices: PriceList | None = None
        self._reader = LedgerReader(store, run, ticks=1)
        self._ledger = Ledger(self._store, run, 0, clock, name="meter")
        self._events: list[Event] = []
        self._begun = clock()
        self._machine: Machine | None = None
        self._identified = threading.Event()
        self._known = 0.0, self._begun, budget
        """Dollars, the time of that sum, and the cap: replaced together, since another thread reads them."""
        self._ends: tuple[float, float] | None = None
        """The time at which the run reaches its `max_duration`, and that duration in hours."""
        self._moved: MovedError | None = None
        self._decided: tuple[str, str] | None = None
        """The last entered decision about the deadline, and its reason."""
        self._finishing = False
        self._failed = False
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._reason = "done"
        self._threads = [
            threading.Thread(target=work, name="meter", daemon=True) for work in (self._keep_books, self._enforce_cap)
        ]

    def __enter__(self) -> Self:
        """Begin to meter.

        Raises:
            BudgetError: the run is at its cap already.
            DataError: it has a cap, and a price list that cannot be read; or the bucket does not answer (`StoreError`).
        """
        # With the store's usual patience, not the meter's short one: a price that was not read would count as 0.
        self._read()
        self._prices = self._read_prices(self._reader.store)
        self._reader.store = self._store
        if error := self.ending:
            raise error
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._reason = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        self._stopping.set()
        self._wake.set()
        for thread in self._threads:
            thread.join(LAST_SECONDS)

    def use_epoch(self, epoch: int) -> None:
        """Write under this stage's epoch from now on: the stage's events count as signs of life of this machine."""
        self._finishing = False
        self._ledger.epoch = epoch
        self._wake.set()

    def begin_publishing(self) -> None:
        """Note that the stage's artifact is being published, which is not stopped at the cap."""
        self._finishing = True

    @property
    def spent(self) -> float:
        """Dollars of all the run's machines: this one's until now, the others' until their last entry that was read."""
        dollars, at, _ = self._known
        return dollars + max(0.0, self._clock() - at) / 3600 * self._rate

    @property
    def over(self) -> BudgetError | None:
        """The error to end with once the cap of dollars or of time is reached; None before."""
        spent, limit = self.spent, self._known[2]
        if limit and spent >= limit:
            return over_budget(self._run, spent, limit)
        ends = self._ends
        return over_time(self._run, ends[1]) if ends and self._clock() >= ends[0] else None

    @property
    def ending(self) -> CortexError | None:
        """The error to end with at the cap, or when this machine is given up for a try at spot; None before."""
        return self.over or self._moved

    def require(self) -> None:
        """Return if the run may go on here; wait until the machine is known, since its boot has cost something already.

        Raises:
            BudgetError: the run is at its cap.
            MovedError: the run should move to another machine.
        """
        self._identified.wait(IDENTIFY_SECONDS)
        if error := self.ending:
            raise error

    @property
    def _rate(self) -> float:
        return self._machine.dollars_per_hour if self._machine else 0.0

    def _keep_books(self) -> None:
        self._machine = self._identify()
        self._compute_spent()
        self._identified.set()
        started = False
        while True:
            self._wake.clear()
            last = self._stopping.is_set()
            if self._ledger.epoch:
                self._enter(started, last)
                started = True
                self._warn_on_error(self._ledger.flush)
            if last:
                return
            if not self._warn_on_error(self._read):
                self._compute_spent()
            self._enter_warnings()
            self._decide()
            self._wake.wait(self._until_next())

    def _read_prices(self, store: Store) -> PriceList | None:
        try:
            return PriceList.read(store, self._run)
        except DataError as error:
            if isinstance(error, StoreError) or self._known[2]:
                raise  # without a price no cap would ever be reached
            logger.warning(f"{error}: what this machine costs is not known")
            return None

    def _identify(self) -> Machine:
        asked = self._asked
        try:
            asked = Endpoints.from_environment(os.environ).identities() if asked is None else asked
        except ConfigError as error:
            logger.warning(f"{error}: this machine goes by its host name")
        return identify(asked or (), self._begun, self._prices, nodes=self._nodes)

    def _enter(self, started: bool, last: bool) -> None:
        """Hold the current entry, to be written by the next `flush` that the bucket takes."""
        assert self._machine
        sign = self._machine.sign_of_life(self._clock())
        if not started:
            self._ledger.hold("machine_started", **(self._machine.entry() | sign), task=self._task)
        if last:
            self._ledger.hold("machine_ended", **sign, reason=self._reason)
        elif started:
            self._ledger.hold("machine_alive", **sign)

    def _read(self) -> None:
        known = len(self._reader.damaged)
        self._events += self._reader.new_events()
        if damaged := self._reader.damaged[known:]:
            logger.warning(
                f"{len(damaged)} damaged objects of the ledger of run {self._run}, from {harmless(damaged[0])}: what "
                "could not be read of them is not reckoned with"
            )
        self._compute_spent()

    def _compute_spent(self) -> None:
        """Compute the spent dollars from the known events and this machine's own time."""
        now, events = self._clock(), self._events
        if machine := self._machine:
            own: dict[str, Any] = {"time": now, "epoch": -1, **machine.entry(), **machine.sign_of_life(now)}
            events = [*events, {**own, "event": "machine_started"}]
        self._known = spent(events), now, cap(events, self._budget)
        hours, begun = duration_cap(events, self._max_duration), launched_at(events)
        self._ends = (begun + hours * 3600, hours) if hours and begun is not None else None

    def _decide(self) -> None:
        """Decide by the deadline whether this machine stays, and enter the decision if it is new."""
        deadline, machine = Deadline.read(self._events), self._machine
        if deadline is None or machine is None or machine.cloud is None or not self._ledger.epoch or self._moved:
            return
        now = self._clock() - machine.ahead
        standing = judge(deadline, self._events, machine, self._prices, self._task.split(), now)
        if (standing.decision, standing.reason) != self._decided:
            self._decided = standing.decision, standing.reason
            logger.info(f"deadline of run {self._run}: {standing}")
            self._warn_on_error(lambda: self._ledger.append("deadline_decision", **standing.entry()))
        if standing.decision == "leave":
            self._moved = MovedError(f"{standing}; the same command continues")

    def _enter_warnings(self) -> None:
        """Enter, once for each cap, that 80% of it (`WARN`) is spent, and that all of it is."""
        dollars, limit = self.spent, self._known[2]
        if not limit or not self._ledger.epoch:
            return
        for event, share in (("budget_warning", WARN), ("budget_spent", 1.0)):
            told = any(known["event"] == event and known.get("budget") == limit for known in self._events)
            if dollars >= share * limit and not told:
                values = {"spent": round(dollars, 4), "budget": limit}
                logger.warning(f"run {self._run} has spent ${dollars:.2f} of its budget of ${limit:.2f}")
                self._warn_on_error(lambda event=event, values=values: self._ledger.append(event, **values))
                self._events.append({"time": self._clock(), "epoch": self._ledger.epoch, "event": event, **values})

    def _until_next(self) -> float:
        """Seconds until the next entry: a sign of life, or earlier if a threshold of the budget is crossed."""
        ahead = [share * self._known[2] - self.spent for share in (WARN, 1.0)]
        crossings = [dollars / self._rate * 3600 for dollars in ahead if dollars > 0] if self._rate else []
        return min([self._every, *(seconds + 0.01 for seconds in crossings)])

    def _enforce_cap(self) -> None:
        """At the cap, give the stage time to finish its item or step by itself; then end it by SIGTERM."""
        since: float | None = None
        while not self._stopping.wait(LOOK_SECONDS):
            error = self.over
            if error is None:
                since = None
            elif since is None:
                since = time.monotonic()
                logger.warning(f"{error}; the stage under way stops")
            elif time.monotonic() - since > self._grace and not self._finishing:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    def _warn_on_error(self, call: Callable[[], None]) -> bool:
        try:
            call()
        except CortexError as error:
            if not self._failed:
                logger.warning(f"{error}: the meter goes on, and enters what is held back once the bucket answers")
            self._failed = True
            return False
        self._failed = False
        return True
