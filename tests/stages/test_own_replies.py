"""Labels from the data itself: nobody is asked for them."""

import json
from pathlib import Path

from cortex.domains.dataset import read_training
from cortex.domains.example_columns import read_rows
from cortex.domains.question import Message
from cortex.profiles.profile_file import load_profile
from cortex.stages import label
from cortex.teaching.labels import ACCEPTED, SUMMARY, read_labels
from tests.stages.built_data import with_data

NOBODY = "http://127.0.0.1:9/v1"


def test_the_data_s_own_replies_are_the_labels_and_no_teacher_is_asked(tmp_path: Path) -> None:
    source = {"kind": "generated", "talks": 150, "rude": 0.2}
    changed = {"domain.source": source, "domain.filter": {"banned": False}, "teacher.url": NOBODY}
    profile = load_profile("rehearsal-chat", changed)
    context, output = with_data(profile, tmp_path), tmp_path / "labels"
    output.mkdir()
    label.run(context, output)
    examples = list(read_rows(read_training(context.artifact("data").path)))
    found = read_labels(output / ACCEPTED)
    assert found == {
        each.id: (*each.messages, Message("assistant", profile.domain.own_reply(each) or "")) for each in examples
    }
    assert any(len(turns) > 6 for turns in found.values())
    assert json.loads((output / SUMMARY).read_text())["asked"] == len(examples)
    # A rude reply that the data's filter let through is no label where rude words are banned.
    strict = load_profile("rehearsal-chat", {**changed, "domain.filter": {"banned": True}})
    assert any(strict.domain.imitable(each, found[each.id][-1].content).grade == "rejected" for each in examples)
