"""Debates of a run, asked of a server that stands in for its model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cortex.artifacts.open_store import open_store
from cortex.domains.dataset import read_split
from cortex.domains.example_columns import read_rows
from cortex.domains.markets.market_at_once import AtOnce
from cortex.domains.markets.market_debate import MarketDebate
from cortex.domains.question import Conversation
from cortex.models.sampling import SampledModel
from cortex.models.stored_answers import sample_requests
from cortex.profiles.profile import with_overrides
from cortex.profiles.profile_file import load_profile
from cortex.stages.debated import Debates
from tests.checkpoints.conftest import context_of
from tests.probing.scripted import reply
from tests.stages.built_data import with_data
from tests.teaching.endpoint import Reply, Teacher, completion, serving

pytestmark = pytest.mark.integration

OFFERED = {"markets": MarketDebate()}
JUDGED = SampledModel("grpo", "/models/grpo", None, ("grpo",))
CHANGES = {
    "domain.source": {"kind": "simulator", "chains": 1, "days": 300},
    "evaluate.debate": True,
    "sampling.engine": "endpoint",
    "sampling.batch_size": 16,
}


def play(prompt: str, nth: int) -> Reply:
    """A bull for 0.75, a bear that cannot be read, and a risk role for 0.5 that speaks of every second bull."""
    if "you are the bull" in prompt:
        return completion(reply(0.75, "buyers"))
    if "you are the bear" in prompt:
        return completion("nothing to read")
    assert "The bull says: buyers" in prompt and "The bear says" not in prompt
    return completion(reply(0.5, "both") if sum(prompt.encode()) % 2 else "nothing to read either")


def count(prompts: Sequence[Conversation], replies: Sequence[str]) -> NDArray[np.int64]:
    """Words, in place of tokens."""
    asked = [sum(len(turn.content.split()) for turn in prompt) for prompt in prompts]
    return np.array([asked, [len(text.split()) for text in replies]]).T


def test_a_debate_is_asked_once_and_concluded_for_every_question(tmp_path: Path) -> None:
    teacher = Teacher(script=play)
    with serving(teacher) as served:
        profile = with_overrides(load_profile("rehearsal"), CHANGES | {"sampling.url": served.url})
        context = with_data(profile, tmp_path)
        test = read_split(context.artifact("data").path, "test", 24)
        debates = Debates(context, {"markets": test}, OFFERED)
        openings = debates.openings(JUDGED)
        held = debates.hold(JUDGED, sample_requests(context, "evaluate", openings, gpus=1))
        assert len(teacher.asked) == 3 * len(test)

        again = Debates(context, {"markets": test}, OFFERED)
        assert again.hold(JUDGED, sample_requests(context, "evaluate", openings, gpus=1)) == held
        assert len(teacher.asked) == 3 * len(test), "answers are kept"

    debated, examples = held["markets"], list(read_rows(test))
    grades = [profile.domain.grade(*pair) for pair in zip(examples, debated.replies, strict=True)]
    assert all(grade.valid for grade in grades)
    assert {grade.numbers["p_up"] for grade in grades} == {0.5, 0.75}, (
        "the bull's stands where the risk's is unreadable"
    )
    for example, requests in zip(examples, debated.requests, strict=True):
        assert [prompt[-1].content.startswith(example.text) for prompt, _ in requests] == [True] * 3
    spoken = [sum(len(text.split()) for _, text in requests) for requests in debated.requests]
    assert debated.tokens(count)[:, 1].tolist() == spoken
    assert debated.tokens(count)[:, 0].sum() == sum(len(prompt.split()) for prompt in teacher.asked)


def test_answers_at_once_are_one_request_each_and_read_without_a_reasoning(tmp_path: Path) -> None:
    teacher = Teacher(script=lambda prompt, _: completion(reply(0.7, "x").partition("</think>")[2]))
    with serving(teacher) as served:
        profile = with_overrides(load_profile("rehearsal"), CHANGES | {"sampling.url": served.url})
        context = with_data(profile, tmp_path)
        test = read_split(context.artifact("data").path, "test", 12)
        at_once = Debates(context, {"markets": test}, {"markets": AtOnce()})
        assert at_once.openings(JUDGED) == []
        held = at_once.hold(JUDGED, ())["markets"]
    assert len(teacher.asked) == len(test) and all(
        "reply with the <answer> block alone" in each for each in teacher.asked
    )
    graded = [profile.domain.grade(*pair) for pair in zip(read_rows(test), held.replies, strict=True)]
    assert all(grade.valid and grade.numbers["p_up"] == 0.7 for grade in graded)


def test_a_profile_without_a_debate_asks_nothing(tmp_path: Path) -> None:
    context = context_of(open_store(str(tmp_path)), load_profile("rehearsal"), tmp_path / "work")
    debates = Debates(context, {}, {})
    assert debates.openings(JUDGED) == [] and debates.hold(JUDGED, []) == {}
