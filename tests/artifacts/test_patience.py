from collections.abc import Callable
from random import Random

import pytest

from cortex.artifacts.patience import Patience


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


def failing(times: int) -> tuple[list[int], Callable[[], str]]:
    calls: list[int] = []

    def call() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise OSError("not yet")
        return "answer"

    return calls, call


def patience(clock: Clock, deadline: float) -> Patience:
    return Patience(deadline=deadline, first=1, longest=8, clock=clock, sleep=clock.sleep, rng=Random(1))


def test_waits_are_jittered_grow_and_are_bounded() -> None:
    clock, told = Clock(), list[float]()
    _, call = failing(40)
    answer = patience(clock, 1e9).persist(call, OSError, lambda *_: True, lambda _, wait: told.append(wait))
    assert answer == "answer" and told == clock.slept and len(told) == 40
    assert max(told) <= 8 and max(told[:1]) <= 2 and max(told[:2]) <= 4 and len(set(told)) == 40


def test_the_deadline_is_over_all_attempts() -> None:
    clock = Clock()
    calls, call = failing(10**6)
    with pytest.raises(OSError, match="not yet"):
        patience(clock, 60).persist(call, OSError, lambda *_: True, lambda *_: None)
    assert clock.now <= 60 and len(calls) > 8


def test_what_is_not_worth_it_and_what_is_not_ours_passes_at_once() -> None:
    clock = Clock()
    calls, call = failing(5)
    with pytest.raises(OSError, match="not yet"):
        patience(clock, 60).persist(call, OSError, lambda _, attempt: attempt < 3, lambda *_: None)
    assert len(calls) == 3
    with pytest.raises(OSError, match="not yet"):
        patience(clock, 60).persist(call, KeyError, lambda *_: True, lambda *_: None)
    assert len(calls) == 4
