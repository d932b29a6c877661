"""A model of the shipped profiles learns to end its turn, and is asked later as it was taught."""

import json
from pathlib import Path

import pytest

from tests.programs import in_image

HERE = Path(__file__).parent


@pytest.mark.rehearsal
def test_llama_learns_its_answer_and_the_token_that_ends_it_after_the_very_prompt_that_it_is_asked(
    tmp_path: Path,
) -> None:
    done = in_image("sft", [str(HERE / "llama_turns.py"), str(tmp_path)])
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "trained": "<think>\nIt is.\n</think><answer>{}</answer><|eot_id|>",
        "asked as trained": True,
        "begins": 1,
        "grown by": 0,  # or a token would have no row in the base's table
        "turns": {"all": "B<|eot_id|>D<|eot_id|>", "last": "D<|eot_id|>"},
        "padding": ["<|eot_id|>", "<|eot_id|>"],
    }
