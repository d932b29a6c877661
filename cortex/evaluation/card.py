"""The model card that travels with a release: Markdown, headed by the metadata that the Hugging Face hub reads."""

from collections.abc import Iterable, Mapping, Sequence

import yaml
from pydantic import BaseModel, ConfigDict

from cortex.evaluation.card_tables import escaped, score_table, table
from cortex.evaluation.card_words import CardWords
from cortex.evaluation.copy_loss import copy_losses
from cortex.evaluation.distillation_words import distillation_sentences
from cortex.evaluation.record import Evaluation, label
from cortex.text import code, harmless, markdown

LIMITS = (
    "It has been tried on questions of the form that it was trained on, and on no others.",
    "The intervals say what the luck of this test split could have made of the same model. They do not cover a world "
    "that behaves differently from it.",
    "Its reasoning is text that came with good answers. It need not be the cause of the answer.",
)
SIMULATED_LIMIT = (
    "**The data are simulated.** The scores show that the pipeline learns a signal planted on purpose. "
    "They say nothing of the real world."
)


class TrainingStage(BaseModel):
    """One stage of training, in words and figures for people."""

    model_config = ConfigDict(frozen=True)

    name: str
    method: str
    facts: dict[str, str | int | float] = {}
    """Key figures of the stage: steps, learning rate, final loss."""


class CardDetails(BaseModel):
    """Contents of a card beyond the evaluation."""

    model_config = ConfigDict(frozen=True)

    title: str
    license: str
    """An identifier that the hub knows (`apache-2.0`, `llama3.3`, ...) or `other`."""
    notices: tuple[str, ...] = ()
    """Sentences that the licence asks for beside the model."""
    base_model: str | None = None
    """The hub's name of the model that was tuned; None for one built from nothing."""
    profile: dict[str, str | int | float]
    """The profile in a few lines: name, method, hardware."""
    training: list[TrainingStage]
    folders: dict[str, str] = {}
    """The release's folders of weights, and what each holds."""
    provenance: dict[str, str]
    """Hashes by what they are of: code, profile, and each artifact's manifest."""


Report = tuple[Evaluation, CardWords]
"""The evaluation on one domain, and the domain's words for the card."""


def model_card(details: CardDetails, reports: Sequence[Report]) -> str:
    """The card's text, with a verdict, data and scores for each domain. The same inputs give the same bytes."""
    metadata = yaml.safe_dump(_metadata(details, reports), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{metadata}---\n\n" + "\n\n".join(_sections(details, reports)) + "\n"


def _metadata(details: CardDetails, reports: Sequence[Report]) -> dict[str, object]:
    """The hub's fields (huggingface.co/docs/hub/model-cards), the judged model's scores among them."""
    tags = [tag for _, words in reports for tag in words.tags]
    simulated = any(evaluation.data.simulated for evaluation, _ in reports)
    return {
        "language": ["en"],
        "license": harmless(details.license),
        **({"base_model": harmless(details.base_model)} if details.base_model else {}),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": list(dict.fromkeys(["reasoning", *tags, *(["simulated-data"] if simulated else [])])),
        "model-index": [{"name": harmless(details.title), "results": [_result(*report) for report in reports]}],
    }


def _result(evaluation: Evaluation, words: CardWords) -> dict[str, object]:
    item = evaluation.contenders[evaluation.verdict.model]
    metrics = [
        ("skill", f"{evaluation.words.skill} against the {label(evaluation.words.reference)}", item.skill),
        ("loss", evaluation.words.loss, item.loss),
        *((column.name, column.title, item.measures[column.name]) for column in evaluation.columns),
    ]
    return {
        "task": {"type": "text-generation", "name": words.task},
        "dataset": {
            "type": "simulated" if evaluation.data.simulated else words.dataset_type,
            "name": harmless(evaluation.data.source),
        },
        "metrics": [{"type": metric, "name": name, "value": round(value, 6)} for metric, name, value in metrics],
    }


def _sections(details: CardDetails, reports: Sequence[Report]) -> Iterable[str]:
    yield f"# {markdown(details.title)}"
    for evaluation, _ in reports:
        yield from _verdict(evaluation, _of(evaluation, reports, "{}: "))
    origin = f"tuned from {code(details.base_model)}" if details.base_model else "built from nothing"
    yield f"A language model, {origin}, that {' It '.join(words.what for _, words in reports)}"
    yield table(("Profile", ""), escaped(details.profile))
    for evaluation, _ in reports:
        yield f"## Data{_of(evaluation, reports)}"
        yield from _data(evaluation)
    yield "## Training"
    stages = {stage.name: f"{stage.method}{_facts(stage.facts)}" for stage in details.training}
    yield table(("Stage", "What was done"), escaped(stages))
    for evaluation, _ in reports:
        yield f"## Scores{_of(evaluation, reports)}"
        blocks = "circular block bootstrap" if evaluation.data.times else "bootstrap"
        yield f"On the test split, with 95% intervals ({blocks} over {markdown(evaluation.words.clusters)})."
        yield score_table(evaluation)
        yield from distillation_sentences(evaluation, markdown)
    if details.folders:
        yield "## Weights"
        yield table(("Folder", "What it is"), _weights(details.folders, reports))
    yield "## Limits"
    limits = dict.fromkeys(limit for _, words in reports for limit in words.limits)
    yield "\n".join(f"- {limit}" for limit in (*limits, *LIMITS))
    yield "## License"
    yield code(details.license) + (f", and the terms of {code(details.base_model)}." if details.base_model else ".")
    yield from details.notices  # word for word, and no text of others: they are the kit's own
    yield "## Provenance"
    yield table(("Of", "Hash"), ((markdown(name), code(digest)) for name, digest in details.provenance.items()))


def _of(evaluation: Evaluation, reports: Sequence[Report], form: str = " of {}") -> str:
    """The evaluation's domain, where a card has several."""
    return form.format(markdown(evaluation.data.domain)) if len(reports) > 1 else ""


def _verdict(evaluation: Evaluation, domain: str) -> Iterable[str]:
    verdict = evaluation.verdict
    headline = f"{domain}{verdict.headline}"
    yield f"**{headline[0].upper()}{headline[1:]}.** {markdown(verdict.reason)} {markdown(verdict.comparison)}"
    if evaluation.data.simulated:
        yield SIMULATED_LIMIT
    for loss in copy_losses(evaluation):
        if loss.warning:
            yield f"**Warning:** {markdown(loss.warning)}"


def _data(evaluation: Evaluation) -> Iterable[str]:
    data = evaluation.data
    yield markdown(data.source)
    facts = {
        "Training examples": f"{data.train_examples:,}",
        "Test examples": f"{data.test_examples:,}",
        evaluation.words.clusters.capitalize(): f"{data.clusters:,}",
        **data.period,
        **data.facts,
    }
    yield table(("Data", ""), escaped(facts))


def _weights(folders: Mapping[str, str], reports: Sequence[Report]) -> Iterable[tuple[str, str]]:
    derived = {weights.name: weights for evaluation, _ in reports for weights in evaluation.derived}
    lost = {(evaluation.data.domain, loss.name): loss for evaluation, _ in reports for loss in copy_losses(evaluation)}
    for name, what in folders.items():
        weights = derived.get(name)
        far = f": {weights.divergence:.2g} nats a token from {weights.made_of}" if weights else ""
        scored = [
            f"; {_of(evaluation, reports, '{}: ')}{loss.words}"
            for evaluation, _ in reports
            if (loss := lost.get((evaluation.data.domain, name)))
        ]
        yield code(name), markdown(f"{what}{far}{''.join(scored)}")


def _facts(facts: Mapping[str, str | int | float]) -> str:
    return "".join(f"; {name} {value}" for name, value in facts.items())
