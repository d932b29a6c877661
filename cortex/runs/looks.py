"""Looks at a test set, kept in each run's folder, where other runs' machines may list names but read nothing.

    runs/<run>/looks/<test set>/<answers>     the run looked, with these answers of the model that the verdict is about
    runs/<run>/looks/<test set>.json          the tries that it counted, once and for all

The look is entered before anything is graded, and the others are counted after that, so that of two runs at the same
time each counts the other. A kill in between leaves the first entry, and the same run's next evaluation counts anew; a
kill later leaves both, and the count stands. Answers that were judged before, of the same run or of another, are no
further model. Looks go with their run when it is removed.
"""

import hashlib
import json
from collections.abc import Callable, Sequence

import polars as pl

from cortex.artifacts.creating import create
from cortex.artifacts.parallel import in_parallel
from cortex.artifacts.store import MissingObjectError, Store
from cortex.evaluation.tries import Tries

AT_ONCE = 32


def identify_test_set(test: pl.DataFrame) -> str:
    """Identity of a test split: a digest of its examples' ids and truths, in any order.

    Other questions about the same outcomes, such as with other features, make no other test set.
    """
    rows = test.select("id", "truth").sort("id").iter_rows()
    return hashlib.sha256(json.dumps(list(rows)).encode()).hexdigest()


def enter_look(
    store: Store, run: str, test_set: str, answers: Sequence[str], check: Callable[[], None] = lambda: None
) -> Tries:
    """Enter a run's look at a test set, and count the models that it has judged, this one included.

    `check` is called before each write, and raises when this process may not write for the run any more.

    Raises:
        StoreError: the store does not answer.
    """
    counted = f"{_folder(run, test_set)}.json"
    try:
        return Tries.model_validate_json(store.get(counted))
    except MissingObjectError:
        pass
    tried = hashlib.sha256(json.dumps(list(answers)).encode()).hexdigest()
    create(store, f"{_folder(run, test_set)}/{tried}", b"\n", check)
    others = [name for name in store.folders("runs") if name != run]
    found = in_parallel(lambda other: _tried(store, other, test_set), others, AT_ONCE)
    models = set[str]().union(*found) - {tried}
    tries = Tries(models=len(models) + 1, runs=sum(map(bool, found)) + 1)
    create(store, counted, tries.model_dump_json().encode(), check)
    return tries


def _tried(store: Store, run: str, test_set: str) -> set[str]:
    """Digests of the answers that a run judged by a test set."""
    return {each.key.rpartition("/")[2] for each in store.list(_folder(run, test_set))}


def _folder(run: str, test_set: str) -> str:
    return f"runs/{run}/looks/{test_set}"
