"""Looks at a test set, kept in each run's folder, where other runs' machines may list names but read nothing.

    runs/<run>/looks/<test set>/<answers>       the run looked, with these answers of the judged model
    runs/<run>/looks/<test set>/<answers>-<n>   the model was the n-th that the test set judged

Both are names of empty objects. The look is entered before anything is graded, and the others are counted after that,
so that of two runs at the same time each counts the other. A kill in between leaves the first entry, and the same run's
next evaluation counts anew; a kill later leaves both, and the count stands. Answers that were judged before, of the
same run or of another, are no further model, and keep its count: a run that is repeated ends with the same bytes. Looks
go with their run when it is removed.
"""

import hashlib
import json
from collections.abc import Callable, Sequence

import polars as pl

from cortex.artifacts.creating import create
from cortex.artifacts.parallel import in_parallel
from cortex.artifacts.store import Store
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
    tried = hashlib.sha256(json.dumps(list(answers)).encode()).hexdigest()
    own = _looks(store, run, test_set)
    if own.get(tried):
        return Tries(models=own[tried])
    create(store, f"{_folder(run, test_set)}/{tried}", b"\n", check)
    others = [name for name in store.folders("runs") if name != run]
    found = [own, *in_parallel(lambda other: _looks(store, other, test_set), others, AT_ONCE)]
    before = [looks[tried] for looks in found if looks.get(tried)]
    models = min(before) if before else len(set[str]().union(*found) - {tried}) + 1
    create(store, f"{_folder(run, test_set)}/{tried}-{models}", b"\n", check)
    return Tries(models=models)


def _looks(store: Store, run: str, test_set: str) -> dict[str, int]:
    """The models that a run judged by a test set: digests of their answers, with their counts; 0 where none is kept."""
    found: dict[str, int] = {}
    for each in store.list(_folder(run, test_set)):
        digest, _, count = each.key.rpartition("/")[2].partition("-")
        found[digest] = max(found.get(digest, 0), int(count) if count.isdecimal() else 0)
    return found


def _folder(run: str, test_set: str) -> str:
    return f"runs/{run}/looks/{test_set}"
