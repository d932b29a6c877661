"""A run whose profile has no GRPO: the model of its last training is exported, judged and released."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal.conftest import SMALL, Home

pytestmark = [pytest.mark.rehearsal, pytest.mark.drawn("runs")]

DPO = {"learning_rate": 1e-4, "prompts": 64, "samples": 2, "max_steps": 4, "save_steps": 2, "micro_batch_size": 8}


@pytest.mark.parametrize(("dpo", "last"), [(DPO, "dpo"), (None, "sft")])
def test_the_last_training_makes_the_runs_model(
    shared_home: Home, write_profile: Callable[..., Path], dpo: dict[str, Any] | None, last: str
) -> None:
    run = f"ends-with-{last}"
    profile = write_profile(run, **{**SMALL, "grpo": None, "dpo": dpo})
    shown = shared_home.passed(run, "--profile", profile)
    trained = [stage["name"] for stage in shown["stages"] if stage["name"] in ("sft", "dpo", "grpo")]
    assert trained == (["sft", "dpo"] if dpo else ["sft"])
    assert shown["judged"] == last and "grpo" not in shown["scores"]
    release = Path(shown["release"])
    card = (release / "README.md").read_text(encoding="utf-8")
    assert "GRPO" not in card and f"**{last}**" in card
    assert shared_home.cortex("verify", release).returncode == 0
