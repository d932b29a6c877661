"""GRPO plays both sides of a game: whose tokens train, what they are rewarded for, and what the model reads."""

import json
import re
from pathlib import Path

import pytest

from tests.programs import in_image

HERE = Path(__file__).parent


@pytest.mark.rehearsal
def test_each_side_trains_its_own_replies_and_reads_the_conversation_as_it_is_rendered(tmp_path: Path) -> None:
    done = in_image("grpo", [str(HERE / "play_matches.py"), str(tmp_path)], TRL_EXPERIMENTAL_SILENCE="1")
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads(done.stdout.splitlines()[-1])
    several = 0
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        assert first["seat"] == 0 and second["seat"] in (1, None)
        assert first["reward"] >= 1 or second["reward"] >= 1
        assert min(first["reward"], second["reward"]) <= 0.1
        for row in (first, second):
            # A reply of random weights may be no text, or hold a turn's own signs.
            if row["seat"] is None or not re.fullmatch(r"[\w\s<|>]*", row["text"], re.ASCII):
                continue
            replies = re.findall(r"assistant\n(.*?<\|im_end\|>)", row["text"])
            assert row["trained"] == replies
            assert row["as rendered"]
            several += len(replies) > 1
    assert several >= 3
