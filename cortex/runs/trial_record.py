"""A run's part in a search: the trial that it is, and whether validation chose it.

    runs/<run>/trial.json     which trial of which search it is
    runs/<run>/chosen.json    only of the winner: among how many trials validation chose it

Both are written once. They lie in the run's own folder, since its machines may read nothing of others'.
"""

from typing import TypeVar

from pydantic import Field, JsonValue, ValidationError

from cortex.artifacts.creating import create
from cortex.artifacts.store import MissingObjectError, Store
from cortex.errors import DataError
from cortex.limits import RECORD_BYTES
from cortex.section import Section

Part = TypeVar("Part", bound=Section)


class TrialRecord(Section):
    """A trial of a search: a run of the search's profile with other values under some keys."""

    search: str
    number: int = Field(ge=1)
    run: str
    parameters: dict[str, JsonValue]
    """The values by dotted key."""
    dollars: float = Field(ge=0)
    """The run's cap in dollars; 0: none."""


class Choice(Section):
    """The choice of a run among a search's trials."""

    search: str
    trials: int = Field(ge=1)
    """Trials that the search ran, this one included."""


def enter_trial(store: Store, trial: TrialRecord) -> None:
    """Write a trial's record into its run's folder."""
    create(store, _trial_key(trial.run), to_bytes(trial))


def enter_choice(store: Store, run: str, choice: Choice) -> None:
    """Write the search's choice into the winner's folder.

    Raises:
        DataError: another choice is there, by which the run was judged, or may have been.
    """
    if not create(store, _choice_key(run), to_bytes(choice)):
        raise DataError(f"{store.url}/{_choice_key(run)} says that run {run} was chosen otherwise: search anew")


def find_trial(store: Store, run: str) -> TrialRecord | None:
    """The trial that a run is; None for a run of its own."""
    return read_record(store, _trial_key(run), TrialRecord)


def find_choice(store: Store, run: str) -> Choice | None:
    """The choice of this run by a search; None where there was none."""
    return read_record(store, _choice_key(run), Choice)


def search_words(store: Store, run: str) -> str | None:
    """A sentence on a run's part in a search; None for a run of its own."""
    trial, choice = find_trial(store, run), find_choice(store, run)
    if trial is None:
        return None
    values = ", ".join(f"{key} {value}" for key, value in trial.parameters.items())
    outcome = f"; chosen among {choice.trials} trials by validation" if choice else ""
    return f"trial {trial.number} of search {trial.search}: {values}{outcome}"


def to_bytes(record: Section) -> bytes:
    """A record's bytes in the bucket."""
    return record.model_dump_json().encode() + b"\n"


def read_record(store: Store, key: str, kind: type[Part]) -> Part | None:
    """The record under a key; None where there is none.

    Raises:
        DataError: it is no such record.
    """
    try:
        data = store.get(key, RECORD_BYTES)
    except MissingObjectError:
        return None
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise DataError(f"{store.url}/{key}: {place or 'the text'}: {error.errors()[0]['msg']}: restore it") from error


def _trial_key(run: str) -> str:
    return f"runs/{run}/trial.json"


def _choice_key(run: str) -> str:
    return f"runs/{run}/chosen.json"
