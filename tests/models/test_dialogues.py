"""Dialogues of a stage, asked of a server that stands in for its models."""

from dataclasses import replace
from pathlib import Path

import pytest

from cortex.artifacts.open_store import open_store
from cortex.domains.episode import Episode
from cortex.domains.question import Conversation, Example, Message
from cortex.models.dialogues import finish_dialogues
from cortex.models.sampling import Asked, SampledModel
from cortex.models.stored_answers import Request, sample_requests
from cortex.profiles.profile import Profile
from cortex.profiles.sampling_section import Sampling
from cortex.runs.context import RunContext
from tests.checkpoints.conftest import context_of
from tests.conversations import ask
from tests.domains.toy_domain import toy_class
from tests.teaching.endpoint import Teacher, completion, serving

pytestmark = pytest.mark.integration

MODELS = [SampledModel(name, f"/models/{name}", None, (name,)) for name in ("base", "sft")]
EXAMPLES = [
    Example(str(number), messages, None) for number, messages in enumerate(ask(*(f"{n} left" for n in range(6))))
]


class Left(Episode):
    """Counts what is left down to nothing."""

    def __init__(self, left: int) -> None:
        self._left = left

    def step(self, reply: str) -> tuple[Message, ...] | None:
        self._left -= 1
        return None if self._left < 0 else (Message("user", f"{self._left} left after {reply}"),)


class Counting(toy_class()):  # type: ignore[misc]
    def episode(self, example: Example) -> Episode | None:
        return Left(int(example.id)) if example.id != "3" else None


def counting(profile: Profile, url: str) -> Profile:
    section = Sampling.model_validate({"engine": "endpoint", "url": url, "batch_size": 4})
    return profile.model_copy(update={"sampling": section, "domain": Counting.model_validate({"kind": "toy"})})


def held(context: RunContext, models: list[SampledModel]) -> list[list[Conversation]]:
    requests = [Request(model, [example.messages for example in EXAMPLES], Asked(max_tokens=4)) for model in models]
    opened = sample_requests(context, "evaluate", requests, gpus=1)
    return finish_dialogues(context, "evaluate", EXAMPLES, requests, opened, gpus=1)


def test_dialogues_are_asked_turn_by_turn_and_found_again(profile: Profile, tmp_path: Path) -> None:
    teacher = Teacher(script=lambda prompt, _: completion(f"{prompt[0]}!"))
    with serving(teacher) as served:
        context = context_of(open_store(str(tmp_path / "b")), counting(profile, served.url), tmp_path / "work")
        found = held(context, MODELS)
        assert found[0] == found[1]
        lengths = [len([turn for turn in turns if turn.role == "assistant"]) for turns in found[0]]
        assert lengths == [1, 2, 3, 1, 5, 6]
        assert found[0][2] == (
            Message("assistant", "2!"),
            Message("user", "1 left after 2!"),
            Message("assistant", "1!"),
            Message("user", "0 left after 1!"),
            Message("assistant", "0!"),
        )
        assert len(teacher.asked) == 2 * sum(lengths)
        assert held(context, MODELS) == found
        assert len(teacher.asked) == 2 * sum(lengths), "what is kept is not asked again"


def test_a_lost_batch_of_one_turn_is_asked_again_and_leads_to_the_same_turns(profile: Profile, tmp_path: Path) -> None:
    teacher = Teacher(script=lambda prompt, _: completion(f"{prompt[0]}!"))
    with serving(teacher) as served:
        context = context_of(open_store(str(tmp_path / "b")), counting(profile, served.url), tmp_path / "work")
        found = held(context, MODELS)
        kept = [stored.key for stored in context.store.list("runs/run-1/evaluate/answers")]
        for number, key in enumerate(kept):
            context.store.delete(key)
            before = len(teacher.asked)
            assert held(replace(context, work=tmp_path / f"machine {number}"), MODELS) == found
            assert 0 < len(teacher.asked) - before <= 4, "one batch, and no more"
