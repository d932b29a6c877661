"""Answers that are longer than the model may write later are not learned in silence."""

import json
from pathlib import Path

import pytest

from cortex.profiles.profile import with_overrides
from cortex.profiles.profile_file import load_profile
from cortex.teaching.labels import ACCEPTED
from cortex.trainers.answer_lengths import describe
from tests.programs import in_image

HERE = Path(__file__).parent


def test_few_long_answers_are_nothing_to_tell() -> None:
    assert describe([100] * 96 + [900] * 4, 768) is None


@pytest.mark.parametrize(("long", "share"), [(5, 0.05), (60, 0.6)])
def test_the_share_and_a_length_that_is_enough_are_told(long: int, share: float) -> None:
    found = describe([100] * (100 - long) + [900] * long, 768)
    assert found is not None and found[0] == share
    assert f"{share:.0%} of the teacher's answers are longer than 768 tokens" in found[1]
    assert "Set both to 960" in found[1]


def test_an_answer_of_just_the_limit_is_not_longer() -> None:
    assert describe([768] * 10, 768) is None
    assert describe([769] * 10, 768) is not None


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Nine answers of twelve words, and one of one."""
    folder = tmp_path / "labels"
    folder.mkdir()
    answers = ["flow rises calm " * 4] * 9 + ["flow"]
    rows = [[{"role": "user", "content": "flow?"}, {"role": "assistant", "content": text}] for text in answers]
    (folder / ACCEPTED).write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in rows))
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A tokenizer of whole words, as a base's folder has it."""
    words = {word: number for number, word in enumerate(("?", "flow", "rises", "calm"))}
    tokenizer = {"version": "1.0", "model": {"type": "WordLevel", "vocab": words, "unk_token": "?"}}
    tokenizer |= {"pre_tokenizer": {"type": "Whitespace"}, "added_tokens": []}
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    return tmp_path


@pytest.mark.rehearsal
@pytest.mark.parametrize(
    ("allowed", "device", "code"), [(13, "cuda", 0), (12, "cpu", 0), (12, "cuda", 78)], ids=["fit", "rehearsed", "paid"]
)
def test_most_answers_too_long_end_a_training_that_costs_money(
    labels: Path, base: Path, allowed: int, device: str, code: int
) -> None:
    overrides = {"grpo.max_completion_length": 64, "evaluate.max_new_tokens": allowed, "hardware.device": device}
    profile = with_overrides(load_profile("cortex-8b"), overrides)
    done = in_image("sft", [str(HERE / "measure_answers.py"), str(labels), str(base)], profile.to_json().decode())
    assert ("90% of the teacher's answers are longer than 12 tokens" in done.stderr) == (allowed == 12)
    if code:
        assert done.returncode and f"{code}: sft: 90%" in done.stderr
    else:
        assert json.loads(done.stdout) == [13] * 9 + [2], done.stderr
