"""Marks of the turns that are trained on."""

import json
from pathlib import Path

from cortex.trainers.marked_turns import mark_last_turns


def test_only_the_last_turn_is_marked(tmp_path: Path) -> None:
    turns = [{"role": role, "content": role} for role in ("system", "user", "assistant", "user", "assistant")]
    row = {"example_id": "a", "messages": turns, "reasons": []}
    (tmp_path / "accepted.jsonl").write_text(json.dumps(row) + "\n")
    marked = json.loads(mark_last_turns(tmp_path / "accepted.jsonl", tmp_path).read_text(encoding="utf-8"))
    assert [turn["train"] for turn in marked["messages"]] == [False, False, False, False, True]
    assert [{"role": turn["role"], "content": turn["content"]} for turn in marked["messages"]] == turns
    assert marked["example_id"] == "a"
