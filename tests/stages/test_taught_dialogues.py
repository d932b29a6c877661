"""Labels of questions that take several turns: a teacher's dialogues with the tools of the domain."""

import json
from pathlib import Path
from typing import Any

import pytest

from cortex.domains.dataset import read_training
from cortex.domains.example_columns import read_rows
from cortex.domains.question import Message, Question
from cortex.profiles.profile import with_overrides
from cortex.profiles.profile_file import load_profile
from cortex.stages import label
from cortex.teaching.labels import ACCEPTED
from tests.stages.built_data import with_data

pytestmark = pytest.mark.integration

CHANGES = {
    "domain": {"kind": "tools", "style": "compact", "examples": 200, "questions": {"price": 1, "change": 1}},
    "teacher.examples": 60,
}


def test_a_teachers_dialogues_are_labels_turn_by_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_HOME", str(tmp_path / "home"))
    profile = with_overrides(load_profile("rehearsal"), CHANGES)
    context = with_data(profile, tmp_path)
    written: list[bytes] = []
    for attempt in ("first", "second"):  # the second finds the journal of the first
        output = tmp_path / attempt
        output.mkdir()
        label.run(context, output)
        written.append((output / ACCEPTED).read_bytes())
    assert written[0] == written[1]
    rows: list[dict[str, Any]] = [json.loads(line) for line in written[0].splitlines()]
    asked = {each.id: each for each in read_rows(read_training(context.artifact("data").path, 60))}
    assert {row["example_id"] for row in rows} == set(asked)
    turns = {row["example_id"]: [turn["role"] for turn in row["messages"]] for row in rows}
    assert {len(roles) for roles in turns.values()} == {2, 4, 8}, "guesses, look-ups, and three calls for a change"
    for row in rows:
        question, *after = (Message(turn["role"], turn["content"]) for turn in row["messages"])
        episode = profile.domain.episode(asked[row["example_id"]])
        assert episode
        for said, told in zip(after[::2], after[1::2], strict=False):
            assert episode.step(said.content) == (told,)
        last = Question("", (question, *after[:-1]))
        assert after[-1].content == profile.domain.script(last, profile.seed)
