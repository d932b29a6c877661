"""A teacher that knows a rule only from its prompt: its labels follow the rule and do not hold the prompt."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cortex.artifacts.manifest import Manifest
from cortex.artifacts.open_store import open_store
from cortex.domains.dataset import read_split
from cortex.domains.question import Message
from cortex.errors import DataError
from cortex.evaluation.graded import Graded
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run
from cortex.stages.asked_teacher import teacher_chapters
from cortex.stages.best_of import SAMPLES
from cortex.stages.teacher_prompts import TeacherPrompts, check_labels
from cortex.teaching.labels import ACCEPTED
from cortex.teaching.prompted_answers import read_prompted
from cortex.teaching.token_count import count_tokens
from tests.checkpoints.conftest import context_of
from tests.conftest import Cortex
from tests.teaching.endpoint import Reply, Teacher, completion, serving

pytestmark = pytest.mark.integration

RULE = "Spell every word backward, and look at the last two letters twice before you write them down, please."
GUIDE = f"{'You are a patient examiner. ' * 40}{RULE}"


@pytest.fixture
def teacher() -> Iterator[Teacher]:
    """It spells backward if its prompt says so, repeats the word otherwise, and tells its prompt to some askers."""
    server = Teacher()

    def script(prompt: str, nth: int) -> Reply:
        del nth
        with server.lock:
            told = server.told[len(server.asked) - 1 - server.asked[::-1].index(prompt)]
        answer = prompt[::-1] if told and RULE in told else prompt
        gossip = RULE if prompt.startswith("b") else ""
        usage = {"prompt_tokens": 1000 if told else 10, "completion_tokens": 5}
        reply = completion(f"<answer>{answer} {gossip}</answer>".replace(" <", "<"))
        return Reply(json.dumps(json.loads(reply.body) | {"usage": usage}).encode())

    server.script = script
    with serving(server) as served:
        yield served


def label(run: str, teacher: Teacher, tmp_path: Path, cortex: Cortex, **values: Any) -> tuple[Path, Profile]:
    """Run `data` and `label`; returns the labels."""
    provider = {"kind": "vllm", "url": teacher.url, "model": "m", "price": {"input": 1.0, "output": 2.0}}
    changes = {"providers": [provider], "dollars": 1.0, "examples": 60, **values}
    sizes = {"domain.examples": 200, "domain.test_examples": 100, "evaluate.examples": 80}
    given = load_profile("rehearsal-gym", sizes | {f"teacher.{key}": value for key, value in changes.items()})
    create_run(open_store(str(tmp_path / "home" / "bucket")), run, given)
    done = cortex("run", "data", "label", "--run", run)
    assert done.returncode == 0, done.stderr
    return tmp_path / "home" / "bucket" / "runs" / run / "label" / "artifact", given


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_labels_follow_a_prompt_that_they_do_not_hold(teacher: Teacher, tmp_path: Path, cortex: Cortex) -> None:
    plain, _ = label("plain", teacher, tmp_path, cortex)
    assert set(teacher.told) == {None} and "prompts" not in json.loads((plain / "labels.json").read_text())
    teacher.asked.clear()
    teacher.told.clear()
    file = tmp_path / "guide.md"
    file.write_text(GUIDE, encoding="utf-8")
    prompt = {"file": str(file), "test_examples": 20}
    folder, profile = label("guided", teacher, tmp_path, cortex, prompt=prompt, samples=2)
    # The cache holds the answers of the first run, which had no prompt: another prompt is another question.
    assert set(teacher.told) == {GUIDE} and len(teacher.asked) == 60 * 2 + 20
    accepted = rows(folder / ACCEPTED)
    for row in accepted:
        question, answer = (turn["content"] for turn in row["messages"])
        assert answer == f"<answer>{question[::-1]}</answer>" and len(row["messages"]) == 2
    rejected = rows(folder / "rejected.jsonl")
    assert rejected and len(accepted) + len(rejected) == 60
    assert {row["reasons"][0].partition(":")[0] for row in rejected} == {"prompt"}
    trained_on = (folder / ACCEPTED).read_text() + (folder / SAMPLES).read_text()
    assert "last two letters" not in trained_on
    summary = json.loads((folder / "labels.json").read_text())
    digest = hashlib.sha256(GUIDE.encode()).hexdigest()
    assert summary["prompts"] == {"gym": digest}
    assert Manifest.read(folder).inputs["prompt of gym"] == digest
    check_labels(profile, folder)

    held = read_prompted(folder, "gym")
    assert len(held) == 20 and not held.keys() & {row["example_id"] for row in accepted + rejected}
    assert {each.prompt_tokens for each in held.values()} == {1000}


def test_a_label_with_the_prompt_stops_the_training_and_is_named(teacher: Teacher, tmp_path: Path) -> None:
    changes = {"teacher.prompt": {"text": GUIDE}, "teacher.url": teacher.url}
    profile = load_profile("rehearsal-gym", changes)
    turns = [{"role": "user", "content": "abc"}, {"role": "assistant", "content": "<answer>cba</answer>"}]
    leaked = [*turns[:1], turns[1] | {"content": f"<answer>cba, for {RULE}</answer>"}]
    shown = [{"role": "system", "content": GUIDE}, *turns]
    for bad, said in ((leaked, "the answer of example gym-2 quotes"), (shown, "the question of example gym-2 shows")):
        lines = [{"example_id": f"gym-{at}", "messages": each} for at, each in enumerate((turns, turns, bad))]
        (tmp_path / ACCEPTED).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        with pytest.raises(DataError, match=rf"^sft: {re.escape(str(tmp_path / ACCEPTED))}: {said} teacher\.prompt"):
            check_labels(profile, tmp_path)
        check_labels(load_profile("rehearsal-gym"), tmp_path)
    assert not TeacherPrompts(load_profile("rehearsal-gym")).guards


def test_the_price_before_counts_the_prompt_and_the_test_questions(
    teacher: Teacher, tmp_path: Path, cortex: Cortex
) -> None:
    provider = {"kind": "vllm", "url": teacher.url, "model": "m", "price": {"input": 1.0, "output": 2.0}}
    section = {"providers": [provider], "examples": 50, "prompt": {"text": GUIDE, "test_examples": 30}}
    text = f"extends: rehearsal-gym\nname: priced\nteacher: {json.dumps(section)}\ndomain: {{examples: 200}}\n"
    (tmp_path / "priced.yaml").write_text(text, encoding="utf-8")
    done = cortex("teach", "estimate", str(tmp_path / "priced.yaml"), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["prompts"], found["tests"]) == (80, 30)
    in_each = count_tokens((Message("system", GUIDE),))
    assert in_each > 200 and 80 * in_each < found["providers"][0]["prompt_tokens"] < 80 * (in_each + 20)
    assert not teacher.asked


def test_a_teacher_without_a_prompt_is_judged_on_the_test_questions_that_it_was_asked(
    teacher: Teacher, tmp_path: Path, cortex: Cortex
) -> None:
    labels, profile = label("judged", teacher, tmp_path, cortex, test_examples=50)
    answers = read_prompted(labels, "gym")
    assert len(answers) == 50 and len(teacher.asked) >= 60 + 50
    domain, data = profile.domain, labels.parents[1] / "data" / "artifact"
    test = read_split(data, "test", 80)
    perfect, nothing = ([Graded(loss, valid=True)] * len(test) for loss in (0.0, 1.0))
    context = context_of(open_store(str(tmp_path / "home" / "bucket")), profile, tmp_path / "work", run="judged")
    [chapter] = teacher_chapters(context, "gym", domain, test, ("grpo", perfect), nothing)
    assert chapter.sentences[0] == "The teacher was asked 50 of the test questions, and left 0 unanswered."
    assert chapter.sentences[-1] == "So grpo is better than its teacher."
    rows = {row.name: row.cells for row in chapter.tables[0].rows}
    assert rows["grpo"][0].value == 1.0 and (rows["teacher"][0].value or 0.0) < 0.5
    assert rows["grpo"][2].value == 1.0
