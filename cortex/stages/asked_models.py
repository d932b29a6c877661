"""Every contender's answers to the test questions: models', their debates, and the base's at once."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cortex.domains.question import Example
from cortex.models.copies import sampled_copies
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

Others = Mapping[str, tuple[SampledModel, dict[str, Debated]]]
"""Further contenders by name: the model that each asks, and its replies by domain."""


def sample_answers_of_all(
    context: RunContext, examples: list[Example], tests: Mapping[str, pl.DataFrame], further: FurtherQuestions
) -> tuple[dict[str, list[str]], dict[str, Probed], Others]:
    """Every model's answer to each question, and by domain the replies to further questions and further contenders'."""
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
    answers = {model: [first for first, *_ in samples] for model, samples in zip(asked_models, found, strict=False)}
    texts = iter(answers[judged])
    # In the order of the examples, which are those of the tests one after the other.
    usual = {name: dict(zip(rows["id"], texts, strict=False)) for name, rows in tests.items()}
    probed = further.sort(others, found[len(requests) : len(requests) + len(others)], judged, usual)
    contenders = {DEBATE: (asked_models[judged], debated), AT_ONCE: (asked_models["base"], unreasoned)}
    return answers, probed, contenders


def count_answers(
    context: RunContext, asked: Sequence[Example], answers: Mapping[str, list[str]]
) -> dict[str, NDArray[np.int64]]:
    """Tokens of every prompt and of each model's answer (N x 2)."""
    from cortex.models.token_counts import count_tokens

    prompts = [example.messages for example in asked]
    return {model.name: count_tokens(model.folder, prompts, answers[model.name]) for model in judged_models(context)}


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
