"""Each mistake that is planted into the protocol is found by the schedules that find none in the right one."""

import pytest

from tests.fuzz.test_protocol import hasty, play
from tests.protocol.mistakes import MISTAKES, Mistake

__all__ = ["hasty"]

SCHEDULES = 1500


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_planted_mistake_is_found(mistake: Mistake, monkeypatch: pytest.MonkeyPatch) -> None:
    mistake.make(monkeypatch)
    for seed in range(SCHEDULES):
        try:
            play(seed)
        except Exception:  # whatever it is that shows: a broken rule, an event lost, a program that fails
            return
    pytest.fail(f"{mistake.name}: not found in {SCHEDULES} schedules")
