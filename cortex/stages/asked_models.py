"""Every contender's answers to the test questions: models', their debates, and the base's at once."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cortex.domains.episode import replies
from cortex.domains.example_columns import read_rows
from cortex.domains.question import Conversation, Example
from cortex.models.copies import sampled_copies
from cortex.models.dialogues import finish_dialogues
from cortex.models.sampling import Asked, SampledModel, trained_base, trained_model
from cortex.models.stored_answers import Request, sample_requests
from cortex.probing.chapters import Probed
from cortex.probing.debate_price import DEBATE
from cortex.runs.context import RunContext
from cortex.runs.stage_list import models
from cortex.stages.debated import Count, Debated, Debates
from cortex.stages.probed import FurtherQuestions

AT_ONCE = "base_at_once"
"""Name of the contender that is the base without reasoning."""

BARRED = "barred"
"""Name of the contender that is the last model, sampled without `sampling.bad_words`."""

Others = Mapping[str, tuple[SampledModel, dict[str, Debated]]]
"""Further contenders by name: the model that each asks, and its replies by domain."""

Turns = list[Conversation]
"""All turns that follow each question, in the order of the questions."""


def sample_answers_of_all(
    context: RunContext, examples: list[Example], tests: Mapping[str, pl.DataFrame], further: FurtherQuestions
) -> tuple[dict[str, Turns], dict[str, Probed], Others]:
    """Every model's turns after each question; by domain the replies to further questions, and further contenders'."""
    profile, asked_models = context.profile, {model.name: model for model in judged_models(context)}
    judged = models(profile)[-1]
    asked = Asked(max_tokens=profile.evaluate.max_new_tokens, seed=profile.seed)
    prompts = [example.messages for example in examples]
    requests = [Request(model, prompts, asked) for model in asked_models.values()]
    others = further.requests(asked_models[judged], asked_models["base"])
    parts, gpus = profile.domain.parts().items(), profile.hardware.gpus_to_evaluate
    debates = Debates(context, tests, {name: domain.debate() for name, domain in parts if profile.evaluate.debate})
    at_once = Debates(
        context, tests, {name: domain.at_once() for name, domain in parts if profile.evaluate.base_at_once}
    )
    opened = debates.openings(asked_models[judged])
    found = sample_requests(context, "evaluate", [*requests, *others, *opened], gpus=gpus)
    debated = debates.hold(asked_models[judged], found[len(requests) + len(others) :])
    unreasoned = at_once.hold(asked_models["base"], ())
    opening = found[: len(requests)]
    held = finish_dialogues(context, "evaluate", examples, requests, opening, gpus=gpus)
    answers = dict(zip(asked_models, held, strict=True))
    texts = iter([turns[-1].content for turns in answers[judged]])
    # In the order of the examples, which are those of the tests one after the other.
    usual = {name: dict(zip(rows["id"], texts, strict=False)) for name, rows in tests.items()}
    probed = further.sort(others, found[len(requests) : len(requests) + len(others)], judged, usual)
    barred = _barred(context, asked_models[judged], tests)
    contenders = {
        DEBATE: (asked_models[judged], debated),
        AT_ONCE: (asked_models["base"], unreasoned),
        BARRED: (asked_models[judged], barred),
    }
    return answers, probed, contenders


def _barred(context: RunContext, model: SampledModel, tests: Mapping[str, pl.DataFrame]) -> dict[str, Debated]:
    """A model's answers by domain without the profile's `sampling.bad_words`; none where no word is banned, and none
    of domains whose questions take several turns."""
    profile = context.profile
    words, parts = profile.sampling.bad_words, profile.domain.parts()
    if not words:
        return {}
    asked = Asked(max_tokens=profile.evaluate.max_new_tokens, seed=profile.seed, bad_words=words)
    examples = {name: list(read_rows(rows)) for name, rows in tests.items()}
    prompts = {
        name: [example.messages for example in asking]
        for name, asking in examples.items()
        if not any(parts[name].episode(example) for example in asking)
    }
    requests = [Request(model, asking, asked) for asking in prompts.values()]
    found = sample_requests(context, "evaluate", requests, gpus=profile.hardware.gpus_to_evaluate)
    texts = {name: [first for first, *_ in samples] for name, samples in zip(prompts, found, strict=True)}
    return {
        name: Debated(said, [[pair] for pair in zip(prompts[name], said, strict=True)]) for name, said in texts.items()
    }


def count_answers(
    context: RunContext, asked: Sequence[Example], answers: Mapping[str, Turns]
) -> dict[str, NDArray[np.int64]]:
    """Tokens of every question's prompts and of each model's replies, over all of its turns (N x 2)."""
    return {model.name: _count(counter(model), asked, answers[model.name]) for model in judged_models(context)}


def _count(count: Count, asked: Sequence[Example], turns: Turns) -> NDArray[np.int64]:
    said = [replies(example.messages, after) for example, after in zip(asked, turns, strict=True)]
    counted = count([prompt for each in said for prompt, _ in each], [reply for each in said for _, reply in each])
    starts = np.cumsum([0, *map(len, said)])[:-1]
    return np.add.reduceat(counted, starts, axis=0)


def counter(model: SampledModel) -> Count:
    from cortex.models.token_counts import count_tokens

    return partial(count_tokens, model.folder)


def judged_models(context: RunContext) -> list[SampledModel]:
    """The models to judge, in the order in which they were made."""
    export = context.artifact("export")
    base, base_origin = trained_base(context)
    return [
        SampledModel("base", base, None, base_origin),
        *(trained_model(context, stage) for stage in models(context.profile)),
        *(
            SampledModel(name, str(export.path / name), None, (export.digest, name))
            for name in sampled_copies(export.path)
        ),
    ]
