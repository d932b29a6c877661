"""Watch of one run: the costs of its machines are entered, and a run whose launches keep failing is given up.

Each look asks SkyPilot, the cloud and the bucket for all facts anew, so a watcher may die, sleep or run twice at any
point. Where one of them does not answer, the look stops there, and nothing is ended.
"""

import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass, field

from loguru import logger

from cortex.artifacts.lease import last_taken
from cortex.artifacts.store import Store
from cortex.fleet.watch.job_state import JobState, find_job_state, newest_launch
from cortex.fleet.watch.kit_jobs import KitJob, WatchedJobs
from cortex.fleet.watch.launches import Row, group, last_sign, row
from cortex.fleet.watch.machine_costs import Word, words
from cortex.fleet.watch.rentals import Rental, end, rentals
from cortex.runs.budget import cap, charges, spent
from cortex.runs.context import load_run
from cortex.runs.ledger import CLOCK_SLACK, Entry, Event, Ledger, LedgerReader
from cortex.runs.price_list import PriceList

STANDING_EVERY = 60.0
"""Seconds between two entries on a running machine, as between two of a machine's own signs of life."""

_LAUNCHING = frozenset({"pending", "submitted", "starting", "recovering"})
"""SkyPilot's states of a task that has no machine yet, or lost it."""


@dataclass
class RunWatch:
    """The watch of one run. The state between two looks only saves work: a new watcher can do without it."""

    store: Store
    run: str
    jobs: WatchedJobs
    ask: Callable[..., tuple[list[Rental], float]] = rentals
    _entries: list[Entry] = field(default_factory=list[Entry])
    _own: dict[tuple[str, str], Event] = field(default_factory=dict[tuple[str, str], Event])
    """This watcher's last entries, written or about to be, by kind of event and machine."""
    _seen: dict[str, float] = field(default_factory=dict[str, float])
    _told: float = 0.0
    _name: str = field(
        default_factory=lambda: "watch" + "".join(secrets.choice(string.ascii_lowercase) for _ in "1234")
    )
    """Random name that keeps this watcher's objects in the ledger apart from another's."""

    def __post_init__(self) -> None:
        self._profile = load_run(self.store, self.run)
        self._reader = LedgerReader(self.store, self.run, ticks=1)
        self._ledger: Ledger | None = None

    def look(self, job: KitJob) -> bool:
        """Look once, and return True while there is anything left to watch.

        Raises:
            CortexError: SkyPilot, the cloud or the bucket does not answer; the next look does what is left.
        """
        self._entries += self._reader.new_entries()
        launch = newest_launch(self._events)
        state = find_job_state(job.records, self.run, launch) if launch else None
        if launch is None or state is None or state.job != f"job/{job.number}":
            return False  # the job is of an earlier launch, or the run is another server's
        epoch = launch["epoch"]
        found = self._ask_cloud(epoch)
        if state.ended:
            return self._finish(found)
        if state.state in _LAUNCHING and job.expects_program(state.task):
            # By the bucket's clock; it is compared with times of the cloud's clock, which is as accurate.
            since = min(entry.written for entry in self._entries if entry.event["epoch"] == epoch)
            # Machines of an earlier task without `cortex run` give no sign of life, and are not counted as failed.
            since = since if all(job.programs) else max(since, job.begun())
            self._give_up_at_limit(job, state, found, since - CLOCK_SLACK, epoch)
        return True

    @property
    def _events(self) -> list[Event]:
        return [*(entry.event for entry in self._entries), *self._own.values()]

    def _ask_cloud(self, epoch: int) -> list[Rental]:
        """The run's machines by the cloud; facts about them that the ledger lacks are entered."""
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
            # All in one object: of objects with nothing but such entries, readers read only a writer's newest.
            for word in standing:
                self._ledger.hold(word.event, **word.values)
            self._ledger.flush()
            self._told = now

    def _row(self, found: list[Rental], since: float, epoch: int) -> Row:
        newest, moment = last_taken(self.store, self.run)
        sign = max(last_sign(self._entries, epoch), moment if newest > epoch else 0.0)
        return row(group(found), since, sign, {each.machine: each.dollars for each in charges(self._events)})

    def _give_up_at_limit(self, job: KitJob, state: JobState, found: list[Rental], since: float, epoch: int) -> None:
        """Give the run up where its launches have reached a limit. The ledger's entry comes first, so that after a kill
        the next look goes on from it."""
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
        """True where the run is given up, and no machine or launch has taken a later epoch since."""
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
        """After the job's end, return True while any machine still runs. SkyPilot ends machines before a job's final
        state; machines of a run that was given up which it has forgotten are terminated here, by the cloud's API."""
        standing = [rental for rental in found if rental.standing]
        if standing and self._given_up():
            reached = {charge.machine for charge in charges(self._events) if charge.reached}
            for rental in standing:
                if rental.machine not in reached:
                    logger.warning(f"machine {rental.machine} of run {self.run} stands after its job: it is ended")
                    end(rental)
        return bool(standing)
