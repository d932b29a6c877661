"""One run under watch: what its machines cost is entered, and launches that go on failing are given up.

All that it goes by is asked anew in each look, of SkyPilot, the cloud and the bucket; so a watcher may die, sleep or
run twice at any point. Where one of them does not answer, the look ends there, and nothing was ended.
"""

import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass, field

from loguru import logger

from cortex.artifacts.lease import last_taken
from cortex.artifacts.store import Store
from cortex.fleet.job_state import JobState, find_job_state, newest_launch
from cortex.fleet.watch.account import Word, words
from cortex.fleet.watch.kit_jobs import KitJob, WatchedJobs
from cortex.fleet.watch.launches import Row, group, last_sign, row
from cortex.fleet.watch.rentals import Rental, end, rentals
from cortex.runs.budget import cap, charges, spent
from cortex.runs.context import load_run
from cortex.runs.ledger import CLOCK_SLACK, Entry, Event, Ledger, LedgerReader
from cortex.runs.prices import PriceList

STANDING_EVERY = 60.0
"""Seconds between two entries of a machine that stands, as between two of its own signs of life."""

_LAUNCHING = frozenset({"pending", "submitted", "starting", "recovering"})
"""SkyPilot's states of a task that no machine runs."""


@dataclass
class RunWatch:
    """What is remembered of a run between two looks: nothing that a new watcher could not do without."""

    store: Store
    run: str
    jobs: WatchedJobs
    ask: Callable[..., tuple[list[Rental], float]] = rentals
    _entries: list[Entry] = field(default_factory=list[Entry])
    _own: dict[tuple[str, str], Event] = field(default_factory=dict[tuple[str, str], Event])
    """What this watcher entered last of each machine, or is about to, by the kind of event."""
    _seen: dict[str, float] = field(default_factory=dict[str, float])
    _told: float = 0.0
    _name: str = field(
        default_factory=lambda: "watch" + "".join(secrets.choice(string.ascii_lowercase) for _ in "1234")
    )
    """What keeps this watcher's objects in the ledger apart from another's."""

    def __post_init__(self) -> None:
        self._profile = load_run(self.store, self.run)
        self._reader = LedgerReader(self.store, self.run, ticks=1)
        self._ledger: Ledger | None = None

    def look(self, job: KitJob) -> bool:
        """Look once; whether there is anything left to look at.

        Raises:
            CortexError: somebody does not answer. What was not done is done by the next look.
        """
        self._entries += self._reader.new_entries()
        launch = newest_launch(self._events)
        state = find_job_state(job.records, self.run, launch) if launch else None
        if launch is None or state is None or state.job != f"job/{job.number}":
            return False  # an earlier launch's, or another server's
        epoch = launch["epoch"]
        found = self._ask_cloud(epoch)
        if state.ended:
            return self._finish(found)
        if state.state in _LAUNCHING and job.expects_program(state.task):
            # By the bucket's clock; the cloud's, which is as right, tells when machines were rented.
            since = min(entry.written for entry in self._entries if entry.event["epoch"] == epoch)
            # What a task of another program rented gave no sign of life, nor should it.
            since = since if all(job.programs) else max(since, job.begun())
            self._wall(job, state, found, since - CLOCK_SLACK, epoch)
        return True

    @property
    def _events(self) -> list[Event]:
        return [*(entry.event for entry in self._entries), *self._own.values()]

    def _ask_cloud(self, epoch: int) -> list[Rental]:
        """The run's machines; what the ledger does not say of them is entered."""
        prices = PriceList.read(self.store, self.run)
        regions = {offer.region for offer in prices.offers if offer.cloud == "aws"} if prices else set[str]()
        costs = charges(self._events)
        regions |= {charge.region for charge in costs if charge.cloud == "aws" and charge.region and not charge.gone}
        known = [charge.machine for charge in costs if charge.machine.startswith("i-")]
        found, now = self.ask(self.run, self.store.url, regions, known)
        entered = frozenset(event["machine"] for event in self._events if event["event"] == "machine_gone")
        self._enter(words(group(found), costs, entered, prices, now, self._seen), now, epoch)
        self._seen |= {rental.machine: now for rental in found if rental.standing}
        return found

    def _enter(self, missing: list[Word], now: float, epoch: int) -> None:
        if self._ledger is None or self._ledger.epoch != epoch:
            self._ledger = Ledger(self.store, self.run, epoch, name=self._name)
        time = self._ledger.clock()
        for word in missing:
            known = (word.event, word.values["machine"])
            self._own[known] = {"event": word.event, "epoch": epoch, "time": time, **word.values}
        standing = [word for word in missing if word.event == "machine_standing"]
        gone = [word for word in missing if word.event == "machine_gone"]
        for word in gone:
            self._ledger.hold(word.event, **word.values)
        self._ledger.flush()
        if standing and now - self._told >= STANDING_EVERY:
            # All in one object: of those that hold nothing else only a writer's newest is read.
            for word in standing:
                self._ledger.hold(word.event, **word.values)
            self._ledger.flush()
            self._told = now

    def _row(self, found: list[Rental], since: float, epoch: int) -> Row:
        newest, moment = last_taken(self.store, self.run)
        sign = max(last_sign(self._entries, epoch), moment if newest > epoch else 0.0)
        return row(group(found), since, sign, {each.machine: each.dollars for each in charges(self._events)})

    def _wall(self, job: KitJob, state: JobState, found: list[Rental], since: float, epoch: int) -> None:
        """Give the run up where its launches have reached the wall, the ledger first: whoever comes next goes on."""
        failing = self._row(found, since, epoch)
        if not failing.launches:
            return
        if not self._given_up():
            why = failing.over(self._profile.budget) or self._at_cap(failing)
            if why is None:
                return
            self._give_up(job, state, failing, why)
            self._entries += self._reader.new_entries()
            if self._row(found, since, epoch).launches != failing.launches or not self._given_up():
                logger.warning(f"run {self.run} is not ended: a machine of it gave a sign of life just now")
                return
        logger.warning(f"run {self.run} is given up: {state.job} is cancelled")
        self.jobs.cancel(job.number)

    def _given_up(self) -> bool:
        """True where that is the run's last word: any later epoch is a machine's, or a launch's."""
        last, _ = last_taken(self.store, self.run)
        return any(event["event"] == "given_up" and event["epoch"] == last for event in self._events)

    def _at_cap(self, failing: Row) -> str | None:
        limit = cap(self._events, self._profile.budget.dollars)
        return f"budget.dollars {limit:g}" if 0 < limit <= spent(self._events) else None

    def _give_up(self, job: KitJob, state: JobState, failing: Row, why: str) -> None:
        count = len(failing.launches)
        times = "1 launch" if count == 1 else f"{count} launches in a row"
        said = f" SkyPilot says: {state.reason};" if state.reason else ""
        raised = " --budget DOLLARS" if why.startswith("budget.dollars") else ""
        reason = (
            f"{times} cost ${failing.dollars:.2f}, and `cortex run` never began ({why}), in task {state.task};{said} "
            f"`.venv/bin/sky jobs logs --controller {job.number}` shows why: mend it, then "
            f"`cortex resume {self.run}{raised}`"
        )
        epoch, _ = last_taken(self.store, self.run)
        values = {"launches": count, "dollars": round(failing.dollars, 6), "reason": reason}
        Ledger(self.store, self.run, epoch, name=self._name).append("given_up", **values)

    def _finish(self, found: list[Rental]) -> bool:
        """After the job's end: whether any machine still stands. One of a run that was given up is ended by the cloud,
        where SkyPilot, which gives machines back before a job's last state, has forgotten it."""
        standing = [rental for rental in found if rental.standing]
        if standing and self._given_up():
            reached = {charge.machine for charge in charges(self._events) if charge.reached}
            for rental in standing:
                if rental.machine not in reached:
                    logger.warning(f"machine {rental.machine} of run {self.run} stands after its job: it is ended")
                    end(rental)
        return bool(standing)
