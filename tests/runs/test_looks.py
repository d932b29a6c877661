"""Looks at a test set, counted over the runs of one bucket."""

from pathlib import Path

import polars as pl
import pytest

from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.store import Store
from cortex.errors import RefusedError
from cortex.evaluation.tries import WORN, Tries
from cortex.runs.looks import enter_look, identify_test_set

TEST_SET = identify_test_set(pl.DataFrame({"id": ["a", "b"], "truth": ["1", "2"]}))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return FolderStore(tmp_path)


def look(store: Store, run: str, answers: str, test_set: str = TEST_SET) -> Tries:
    return enter_look(store, run, test_set, [answers])


def forget_count(folder: Path, run: str, count: int) -> None:
    """As if the run had been killed between its two entries."""
    (entry,) = (folder / f"runs/{run}/looks/{TEST_SET}").glob(f"*-{count}")
    entry.unlink()


def test_each_further_model_is_counted_and_a_resumed_evaluation_is_not(store: Store) -> None:
    assert look(store, "r1", "up") == Tries(models=1)
    assert look(store, "r2", "down") == Tries(models=2)
    assert look(store, "r1", "up") == Tries(models=1), "the first verdict stands"
    assert look(store, "r2", "down") == Tries(models=2)
    assert look(store, "r3", "still") == Tries(models=3)


def test_equal_answers_are_one_model_whichever_run_asks_and_whatever_was_judged_since(store: Store) -> None:
    look(store, "r1", "up")
    assert look(store, "r2", "up") == Tries(models=1)
    look(store, "r3", "down")
    assert look(store, "r4", "up") == Tries(models=1), "a run that is repeated ends with the same bytes"
    assert look(store, "r5", "down") == Tries(models=2)


def test_test_sets_are_counted_apart(store: Store) -> None:
    look(store, "r1", "up")
    other = identify_test_set(pl.DataFrame({"id": ["a", "b"], "truth": ["1", "3"]}))
    assert look(store, "r2", "down", other) == Tries(models=1)


def test_the_order_and_the_wording_of_questions_make_no_other_test_set() -> None:
    other = pl.DataFrame({"id": ["b", "a"], "truth": ["2", "1"], "messages": ["x", "y"]})
    assert identify_test_set(other) == TEST_SET


def test_a_kill_between_the_two_writes_is_no_further_look(store: Store, tmp_path: Path) -> None:
    look(store, "r1", "up")
    look(store, "r2", "down")
    forget_count(tmp_path, "r2", 2)
    assert look(store, "r2", "down") == Tries(models=2)


def test_two_runs_at_the_same_time_count_each_other(store: Store, tmp_path: Path) -> None:
    """Both have entered their looks before either counts: neither gets the whole error."""
    look(store, "r1", "up")
    forget_count(tmp_path, "r1", 1)
    assert look(store, "r2", "down").models == look(store, "r1", "up").models == 2


def test_a_holder_that_lost_its_lease_enters_nothing(store: Store) -> None:
    def refuse() -> None:
        raise RefusedError("taken over")

    with pytest.raises(RefusedError):
        enter_look(store, "r1", TEST_SET, ["up"], refuse)
    assert look(store, "r2", "down") == Tries(models=1)


def test_a_test_set_that_a_hundred_runs_saw_is_worn(store: Store) -> None:
    found = [look(store, f"r{index}", str(index)) for index in range(100)]
    assert [each.models for each in found] == list(range(1, 101))
    assert "worn" not in found[WORN - 2].words and "100 models, and is worn" in found[-1].words
