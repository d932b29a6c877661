"""Further questions of a run, asked of a server that stands in for its models."""

from pathlib import Path

import pytest

from cortex.artifacts.open_store import open_store
from cortex.domains.dataset import read_split
from cortex.domains.example_columns import read_rows
from cortex.models.sampling import Asked, SampledModel
from cortex.models.stored_answers import Request, sample_requests
from cortex.profiles.profile import with_overrides
from cortex.profiles.profile_file import load_profile
from cortex.stages.probed import FurtherQuestions
from tests.checkpoints.conftest import context_of
from tests.stages.built_data import with_data
from tests.teaching.endpoint import Teacher, right, serving

pytestmark = pytest.mark.integration

BASE, JUDGED = (SampledModel(name, f"/models/{name}", None, (name,)) for name in ("base", "grpo"))
CHANGES = {
    "domain.source": {"kind": "simulator", "chains": 2, "days": 300},
    "evaluate.examples": 50,
    "evaluate.probes": {"repeated": 4, "answers": 2, "reworded": 4, "permuted": 4, "features": 2, "recalled": 4},
    "sampling.engine": "endpoint",
    "sampling.batch_size": 16,
}


def test_each_question_is_asked_once_of_the_models_that_it_is_for(tmp_path: Path) -> None:
    teacher = Teacher()
    teacher.script = right
    with serving(teacher) as served:
        profile = with_overrides(load_profile("rehearsal"), CHANGES | {"sampling.url": served.url})
        context = with_data(profile, tmp_path)
        tests = {name: read_split(context.artifact("data").path, "test", 50) for name in profile.domain.parts()}
        further = FurtherQuestions(context, tests)
        asked = further.requests(JUDGED, BASE)
        test = tests["markets"]
        usual = Request(JUDGED, [example.messages for example in read_rows(test)], Asked(max_tokens=64))
        first, *found = sample_requests(context, "evaluate", [usual, *asked], gpus=1)
        count = len(teacher.asked)
        assert count == len(test) + sum(len(request.prompts) * request.asked.samples for request in asked)
        assert [request.model.name for request in asked] == ["grpo", "grpo", "base"]
        assert set(asked[-1].prompts) < set(asked[0].prompts)

        assert sample_requests(context, "evaluate", [usual, *asked], gpus=1) == [first, *found]
        assert len(teacher.asked) == count, "answers are kept"

    replies = {name: text for name, (text, *_) in zip(test["id"], first, strict=True)}
    probed = further.sort(asked, found, "grpo", {"markets": replies})["markets"]
    by_prompt = {
        probe.messages: reply for probe, reply in zip(probed.asked.probes, probed.asked.replies["grpo"], strict=True)
    }
    assert set(by_prompt) == set(asked[0].prompts) and "" not in by_prompt.values()
    assert [len(texts) for _, texts in probed.asked.repeated] == [2] * 4
    for example, texts in probed.asked.repeated:
        assert set(texts) == {replies[example.id]}, "the server answers a prompt always alike"


def test_a_profile_that_asks_for_nothing_has_no_further_questions(tmp_path: Path) -> None:
    context = context_of(open_store(str(tmp_path)), load_profile("rehearsal"), tmp_path / "work")
    further = FurtherQuestions(context, {})
    assert further.requests(JUDGED, BASE) == [] and further.sort([], [], "grpo", {}) == {}
