"""Each mistake that is planted into the protocol breaks a rule, in schedules that break none in the right protocol."""

import pytest

from tests.fuzz.test_protocol import hasty
from tests.protocol.mistakes import MISTAKES, Mistake
from tests.protocol.rules import ViolationError
from tests.protocol.scenario import play

__all__ = ["hasty"]

SCHEDULES = 5000
"""Most schedules for one mistake; most mistakes are found by the first hundred."""


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_planted_mistake_is_found(mistake: Mistake, monkeypatch: pytest.MonkeyPatch) -> None:
    mistake.make(monkeypatch)
    for seed in range(SCHEDULES):
        try:
            play(mistake.play, seed)
        except ViolationError as error:
            assert error.rule in mistake.rules, error
            return
    pytest.fail(f"{mistake.name}: not found in {SCHEDULES} schedules")
