"""The rehearsal of maths and logic: GRPO undoes the habit that SFT learned, and a killed run ends in the same bytes."""

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
    "domain.examples=300",
    "domain.validation_examples=16",
    "domain.test_examples=300",
    "teacher.examples=300",
    "sft.max_steps=60",
    "sft.save_steps=10",
    "sft.validate_steps=30",
    "sft.validation_examples=16",
    "grpo.micro_batch_size=32",
    "grpo.max_steps=12",
    "grpo.trl={steps_per_generation: 2}",
    "grpo.save_steps=2",
    "grpo.validate_steps=6",
    "grpo.validation_examples=16",
    "export.calibration_examples=16",
    "export.check_examples=32",
)
"""Changes that make a run take about a minute; its scores mean nothing."""


@pytest.mark.parametrize("seed", SEEDS)
def test_rewards_undo_the_habit_that_sft_learned(shared_home: Home, seed: int) -> None:
    shown = shared_home.passed(f"gym-{seed}", "--profile", "rehearsal-gym", "--seed", str(seed))
    scores: dict[str, Any] = shown["scores"]
    assert scores["sft"]["score"] <= 0.50
    assert scores["grpo"]["score"] >= 0.60
    assert scores["sft"]["valid_share"] >= 0.99 and scores["grpo"]["valid_share"] >= 0.99
    low, _ = scores["grpo"]["skill_interval"]
    assert low > max(scores[name]["skill"] for name in ("base", "sft", "usual", "drawn", "shortest"))
    assert shown["verdict"] == "skill shown"
    if seed == 0:
        assert sum(stage["seconds"] for stage in shown["stages"]) <= COMPUTE_SECONDS


@pytest.mark.drawn("runs")
def test_killed_while_it_trains_it_goes_on_to_the_same_bytes(shared_home: Home) -> None:
    small = ("--profile", "rehearsal-gym", *(word for change in SMALL for word in ("--set", change)))
    undisturbed = shared_home.passed("gym-undisturbed", *small)
    for number, stage in enumerate(("data", "label", "sft", "grpo", "evaluate")):
        shared_home.kill_during(stage, "gym-killed", *(small if number == 0 else ()))
    shown = shared_home.passed("gym-killed")
    assert shown["weights"] == undisturbed["weights"]
    stages = [{stage["name"]: stage["manifest"] for stage in run["stages"]} for run in (shown, undisturbed)]
    assert stages[0] == stages[1]
    logs = shared_home.folder / "work" / "gym-killed" / "logs"
    for stage in ("sft", "grpo"):
        assert "resuming from checkpoint-" in Path(logs, f"{stage}.log").read_text(encoding="utf-8")
