"""Dialogues with tools have the same tokens in GRPO, by TRL's own loop, as in the evaluation."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.programs import in_image

HERE = Path(__file__).parent


@pytest.mark.rehearsal
def test_a_dialogue_that_trains_is_token_for_token_the_one_that_is_judged(tmp_path: Path) -> None:
    done = in_image("grpo", [str(HERE / "tool_turns.py"), str(tmp_path)])
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("cut") == [[True, 2], [False, 1]], "a dialogue without room for a reply ends with the model's turn"
    assert set(found) == {"compact", "full"}
    for style in found.values():
        assert style["same tokens"] == style["same turns"] == style["dialogues"] >= 50
        assert style["only the model's turns are trained"]
        assert style["calls"] >= 30 and style["mistakes"] >= 5, "dialogues of several turns, and calls gone wrong"
