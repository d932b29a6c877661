"""The runner of the fuzz tests: it finds faults, stops in time, and repeats itself for a seed."""

import time

import pytest
from hypothesis import strategies as st

from .fuzz.runner import Fuzz


def test_a_fault_is_found_and_shrunk_to_its_smallest_example() -> None:
    def check(number: int) -> None:
        assert number < 1000

    with pytest.raises(AssertionError) as found:
        Fuzz(first_seed=0, seconds=60)(st.integers(), check)
    assert "example=1000" in "".join(found.value.__notes__)


def test_it_stops_when_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CORTEX_FULL", raising=False)
    runner = Fuzz(first_seed=0, seconds=0.3)
    started = time.monotonic()
    runner(st.integers(), lambda number: None)
    assert runner.examples >= 100 and time.monotonic() - started < 10


def test_the_full_run_is_of_a_fixed_number_of_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_FULL", "1")
    runner = Fuzz(first_seed=0, seconds=0, full=300)
    runner(st.integers(), lambda number: None)
    assert runner.examples == 300
    costly = Fuzz(first_seed=0, seconds=0, full=300)
    costly(st.integers(), lambda number: None, cost=4)
    assert costly.examples == 75


def test_a_seed_repeats_its_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_FULL", "1")
    seen: dict[int, list[int]] = {}
    for run, first_seed in enumerate((7, 7, 8)):
        Fuzz(first_seed, seconds=0, full=200)(st.integers(), seen.setdefault(run, []).append)
    assert seen[0] == seen[1] != seen[2]
