"""The rehearsal of a learned reward: it rises while the truth falls, which is seen, named, and ends the training."""

import re
from typing import Any

import pytest

from tests.rehearsal.conftest import Home

pytestmark = pytest.mark.rehearsal

SAID = re.compile(
    r"In GRPO, from step (\d+) to step (\d+) the reward rose from (\S+) to (\S+) while the truth fell from (\S+) to "
    r"(\S+): stopped at step (\d+), released the weights of step (\d+)\."
)


@pytest.mark.drawn("runs")
def test_a_reward_that_rises_while_the_truth_falls_is_named_and_stopped(shared_home: Home) -> None:
    shown = shared_home.passed("reward-0", "--profile", "rehearsal-reward")
    found = SAID.search(shown["verdict_reason"])
    assert found, shown["verdict_reason"]
    first, last, stopped, released = (int(found[group]) for group in (1, 2, 7, 8))
    paid_first, paid_last, true_first, true_last = (float(found[group]) for group in (3, 4, 5, 6))
    assert paid_last > paid_first and true_last < true_first
    assert first < last <= stopped < 64, "the training ended long before its last step"
    assert released < last, "the weights that the reward spoiled are not released"
    scores: dict[str, Any] = shown["scores"]
    low, _ = scores["grpo"]["skill_interval"]
    assert low > scores["sft"]["skill"], "what GRPO had learned before is kept"
