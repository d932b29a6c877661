"""The rehearsals of currency pairs: no skill on real rates, skill where it was planted, and kills change nothing."""

from pathlib import Path
from typing import Any

import pytest

from tests.drawn_cases import draw_cases
from tests.rehearsal.conftest import Home

pytestmark = pytest.mark.rehearsal

COMPUTE_SECONDS = 6 * 60
SEEDS = (pytest.param(0, marks=[pytest.mark.timed, pytest.mark.drawn("runs")]), *draw_cases((1, 2), 0))
"""Seed 0 runs against the clock; the others run only where all long cases are asked for."""

SMALL = (
    "domain.source={kind: ecb, pairs: [EUR/USD, EUR/JPY, USD/JPY], start: 2015-01-01, end: 2020-12-31}",
    "teacher.examples=300",
    "sft.max_steps=60",
    "sft.save_steps=10",
    "sft.validate_steps=30",
    "sft.validation_examples=16",
    "dpo.prompts=64",
    "dpo.max_steps=4",
    "dpo.save_steps=2",
    "grpo.max_steps=8",
    "grpo.save_steps=2",
    "grpo.micro_batch_size=32",
    "grpo.validate_steps=4",
    "grpo.validation_examples=16",
    "export.calibration_examples=16",
    "export.check_examples=32",
    "evaluate.examples=60",
)
"""Changes that make a run take about a minute; its scores mean nothing."""


@pytest.mark.parametrize("seed", SEEDS)
def test_real_rates_show_no_skill(shared_home: Home, seed: int) -> None:
    shown = shared_home.passed(f"ecb-{seed}", "--profile", "rehearsal-currencies", "--seed", str(seed))
    judged: dict[str, Any] = shown["scores"]["grpo"]
    assert shown["verdict"] != "skill shown"
    assert -0.05 < judged["brier_skill"] < 0.03 and judged["valid_share"] >= 0.99
    check_seconds(shown, seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_planted_signal_is_found(shared_home: Home, seed: int) -> None:
    shown = shared_home.passed(f"planted-{seed}", "--profile", "rehearsal-currencies-planted", "--seed", str(seed))
    scores: dict[str, Any] = shown["scores"]
    assert shown["verdict"] == "skill shown"
    assert scores["grpo"]["brier_skill"] >= 0.45 * scores["oracle"]["brier_skill"]
    check_seconds(shown, seed)


@pytest.mark.drawn("runs")
def test_killed_while_it_trains_it_goes_on_to_the_same_bytes(shared_home: Home) -> None:
    small = ("--profile", "rehearsal-currencies", *(word for change in SMALL for word in ("--set", change)))
    undisturbed = shared_home.passed("pairs-undisturbed", *small)
    for number, stage in enumerate(("data", "sft", "grpo", "evaluate")):
        shared_home.kill_during(stage, "pairs-killed", *(small if number == 0 else ()))
    shown = shared_home.passed("pairs-killed")
    assert shown["weights"] == undisturbed["weights"]
    stages = [{stage["name"]: stage["manifest"] for stage in run["stages"]} for run in (shown, undisturbed)]
    assert stages[0] == stages[1]
    resumed = Path(shared_home.folder, "work", "pairs-killed", "logs", "sft.log").read_text(encoding="utf-8")
    assert "resuming from checkpoint-" in resumed


def check_seconds(shown: dict[str, Any], seed: int) -> None:
    """Check the time of the seed that runs against the clock."""
    if seed == 0:
        assert sum(stage["seconds"] for stage in shown["stages"]) <= COMPUTE_SECONDS
