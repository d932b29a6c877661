"""A search in the bucket: its plan, its trials and its caps, each written once. All else follows from the trials' runs.

    runs/<search>/search.json        the plan
    runs/<search>/trials/<n>.json    the n-th trial: its run and its parameters
    runs/<search>/caps/<dollars>     the caps that were given; the highest holds

A search has no profile of its own, and so is no run, although it lies among them: there a launcher's rights reach.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from cortex.artifacts.creating import create
from cortex.artifacts.store import Store
from cortex.errors import ConfigError, DataError, UsageError
from cortex.profiles.profile import Profile
from cortex.runs.context import check_run_id, create_run, list_runs
from cortex.runs.run_secret import RunSecret, bind_run
from cortex.runs.trial_record import TrialRecord, enter_trial, read_record, to_bytes
from cortex.search.search_plan import SearchPlan
from cortex.settings import Settings

PLAN = "search.json"


@dataclass(frozen=True)
class SearchState:
    """One search, as the bucket holds it."""

    store: Store
    name: str
    plan: SearchPlan

    @classmethod
    def begin(cls, store: Store, name: str, plan: SearchPlan) -> "SearchState":
        """Begin a search, or find it as it was begun.

        Raises:
            ConfigError: a search of this name has another plan, or a run has this name.
        """
        key = _key(name)
        if name in list_runs(store):
            raise ConfigError(f"{name} is a run: give the search another name")
        if not create(store, key, to_bytes(plan)):
            raise ConfigError(
                f"there is another search {name!r}, with another profile, values or method: continue that one by "
                f"`cortex search {name}` alone, or give this one another name"
            )
        return cls(store, name, plan)

    @classmethod
    def load(cls, store: Store, name: str) -> "SearchState":
        """A search that was begun.

        Raises:
            UsageError: there is none of this name.
        """
        plan = read_record(store, _key(name), SearchPlan)
        if plan is None:
            raise UsageError(f"no search {name!r} in {store.url}: begin it with --profile and --over KEY=VALUES")
        return cls(store, name, plan)

    def trials(self) -> list[TrialRecord]:
        """The trials that were begun, in order.

        Raises:
            DataError: one is missing, or is no record.
        """
        found: list[TrialRecord] = []
        count = sum(entry.key.endswith(".json") for entry in self.store.list(f"runs/{self.name}/trials"))
        for number in range(1, count + 1):
            key = self._trial_key(number)
            record = read_record(self.store, key, TrialRecord)
            if record is None:
                raise DataError(f"{self.store.url}/{key} is missing, and later trials are there: restore it")
            found.append(record)
        return found

    def begin_trial(self, number: int, parameters: dict[str, JsonValue], dollars: float) -> TrialRecord:
        """Enter the n-th trial, before its run is made.

        Raises:
            DataError: another trial has this number.
        """
        run = f"{self.name}-{number}"
        trial = TrialRecord(search=self.name, number=number, run=run, parameters=parameters, dollars=dollars)
        if not create(self.store, self._trial_key(number), to_bytes(trial)):
            raise DataError(
                f"{self.store.url}/{self._trial_key(number)} is another trial: is the search running twice?"
            )
        return trial

    def make_run(self, trial: TrialRecord, settings: Settings) -> Profile:
        """A trial's run, made if it is not there; and its profile.

        Raises:
            ConfigError: the profile refuses the parameters, or the run is there with another profile.
        """
        profile = self.plan.trial_profile(trial.parameters, trial.dollars)
        create_run(self.store, trial.run, profile, rehearsal=not self.plan.launch)
        bind_run(self.store, RunSecret.of(trial.run, settings), profile)
        enter_trial(self.store, trial)
        return profile

    def cap(self) -> float | None:
        """The highest cap that was given, in dollars; None where none was."""
        caps = [float(Path(entry.key).name) for entry in self.store.list(f"runs/{self.name}/caps")]
        return max(caps, default=None)

    def set_cap(self, dollars: float) -> None:
        """Set the cap, or raise it.

        Raises:
            ConfigError: it is lower than the one that holds.
        """
        before = self.cap()
        if before is not None and dollars < before:
            raise ConfigError(
                f"search {self.name} may cost ${before:.2f} already, and trials began under that: --dollars "
                f"{dollars:g} is no more"
            )
        create(self.store, f"runs/{self.name}/caps/{dollars:.2f}", b"\n")

    def _trial_key(self, number: int) -> str:
        return f"runs/{self.name}/trials/{number}.json"


def _key(name: str) -> str:
    return f"runs/{check_run_id(name)}/{PLAN}"
