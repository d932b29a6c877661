"""The rehearsal of plans: SFT learns from a hasty teacher, and DPO with SFT's loss to prefer the proven best plans."""

import pytest

from tests.drawn_cases import draw_cases
from tests.rehearsal.conftest import Home

pytestmark = pytest.mark.rehearsal

COMPUTE_SECONDS = 6 * 60
SEEDS = (pytest.param(0, marks=[pytest.mark.timed, pytest.mark.drawn("runs")]), *draw_cases((1, 2), 0))
"""Seed 0 runs against the clock; the others run only where all long cases are asked for."""


@pytest.mark.parametrize("seed", SEEDS)
def test_unseen_problems_are_solved_and_many_of_them_at_the_least_cost(shared_home: Home, seed: int) -> None:
    shown = shared_home.passed(f"planning-{seed}", "--profile", "rehearsal-planning", "--seed", str(seed))
    scores = shown["scores"]
    assert scores["dpo"]["plans"] >= 0.85
    assert scores["dpo"]["score"] >= 0.45
    assert scores["dpo"]["score"] > scores["sft"]["score"]
    low, _ = scores["dpo"]["skill_interval"]
    assert low > max(scores[name]["skill"] for name in ("base", "usual", "drawn", "greedy"))
    assert shown["verdict"] == "skill shown"
    if seed == 0:
        assert sum(stage["seconds"] for stage in shown["stages"]) <= COMPUTE_SECONDS
