"""The model card that travels with a release: Markdown, headed by the metadata that the Hugging Face hub reads."""

from collections.abc import Iterable, Mapping

import yaml
from pydantic import BaseModel, ConfigDict

from cortex.evaluation.card_words import CardWords
from cortex.evaluation.copy_loss import CopyLoss, copy_losses
from cortex.evaluation.record import Derived, Evaluation, Interval, label
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
    base_model: str | None = None
    """The hub's name of the model that was tuned; None for one built from nothing."""
    profile: dict[str, str | int | float]
    """The profile in a few lines: name, method, hardware."""
    training: list[TrainingStage]
    folders: dict[str, str] = {}
    """The release's folders of weights, and what each holds."""
    provenance: dict[str, str]
    """Hashes by what they are of: code, profile, and each artifact's manifest."""


def model_card(details: CardDetails, evaluation: Evaluation, words: CardWords) -> str:
    """The card's text. The same inputs give the same bytes."""
    metadata = yaml.safe_dump(_metadata(details, evaluation, words), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{metadata}---\n\n" + "\n\n".join(_sections(details, evaluation, words)) + "\n"


def _metadata(details: CardDetails, evaluation: Evaluation, words: CardWords) -> dict[str, object]:
    """The hub's fields (huggingface.co/docs/hub/model-cards), the judged model's scores among them."""
    item = evaluation.contenders[evaluation.verdict.model]
    metrics = [
        ("skill", f"{evaluation.words.skill} against the {label(evaluation.words.reference)}", item.skill),
        ("loss", evaluation.words.loss, item.loss),
        *((column.name, column.title, item.measures[column.name]) for column in evaluation.columns),
    ]
    results = {
        "task": {"type": "text-generation", "name": words.task},
        "dataset": {
            "type": "simulated" if evaluation.data.simulated else words.dataset_type,
            "name": harmless(evaluation.data.source),
        },
        "metrics": [{"type": metric, "name": name, "value": round(value, 6)} for metric, name, value in metrics],
    }
    return {
        "language": ["en"],
        "license": harmless(details.license),
        **({"base_model": harmless(details.base_model)} if details.base_model else {}),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["reasoning", *words.tags, *(["simulated-data"] if evaluation.data.simulated else [])],
        "model-index": [{"name": harmless(details.title), "results": [results]}],
    }


def _sections(details: CardDetails, evaluation: Evaluation, words: CardWords) -> Iterable[str]:
    data, verdict = evaluation.data, evaluation.verdict
    yield f"# {markdown(details.title)}"
    yield f"**{verdict.headline.capitalize()}.** {markdown(verdict.reason)} {markdown(verdict.comparison)}"
    if data.simulated:
        yield SIMULATED_LIMIT
    losses = copy_losses(evaluation)
    for loss in losses:
        if loss.warning:
            yield f"**Warning:** {markdown(loss.warning)}"
    origin = f"tuned from {code(details.base_model)}" if details.base_model else "built from nothing"
    yield f"A language model, {origin}, that {words.what}"
    yield _table(("Profile", ""), _escaped(details.profile))
    yield "## Data"
    yield markdown(data.source)
    facts = {
        "Training examples": f"{data.train_examples:,}",
        "Test examples": f"{data.test_examples:,}",
        evaluation.words.clusters.capitalize(): f"{data.clusters:,}",
        **data.period,
        **data.facts,
    }
    yield _table(("Data", ""), _escaped(facts))
    yield "## Training"
    stages = {stage.name: f"{stage.method}{_facts(stage.facts)}" for stage in details.training}
    yield _table(("Stage", "What was done"), _escaped(stages))
    yield "## Scores"
    blocks = "circular block bootstrap" if data.times else "bootstrap"
    yield f"On the test split, with 95% intervals ({blocks} over {markdown(evaluation.words.clusters)})."
    yield _scores(evaluation)
    if details.folders:
        yield "## Weights"
        divergences = {weights.name: weights for weights in evaluation.derived}
        lost = {loss.name: loss for loss in losses}
        yield _table(("Folder", "What it is"), _weights(details.folders, divergences, lost))
    yield "## Limits"
    yield "\n".join(f"- {limit}" for limit in (*words.limits, *LIMITS))
    yield "## License"
    yield code(details.license) + (f", and the terms of {code(details.base_model)}." if details.base_model else ".")
    yield "## Provenance"
    yield _table(("Of", "Hash"), ((markdown(name), code(digest)) for name, digest in details.provenance.items()))


def _weights(
    folders: Mapping[str, str], derived: Mapping[str, Derived], lost: Mapping[str, CopyLoss]
) -> Iterable[tuple[str, str]]:
    for name, what in folders.items():
        weights = derived.get(name)
        far = f": {weights.divergence:.2g} nats a token from {weights.made_of}" if weights else ""
        scored = f"; {lost[name].words}" if name in lost else ""
        yield code(name), markdown(f"{what}{far}{scored}")


def _scores(evaluation: Evaluation) -> str:
    columns = [column for column in evaluation.columns if column.on_card]
    words = evaluation.words
    header = ("Model or baseline", words.skill, words.loss, *(column.title for column in columns), "Valid")
    rows: list[tuple[str, ...]] = []
    for name, item in evaluation.contenders.items():
        row = (
            _cell(item.skill, item.intervals.get("skill"), "+z.3f"),
            _cell(item.loss, item.intervals.get("loss"), ".3f"),
            *(_cell(item.measures[one.name], item.intervals.get(one.name), one.form) for one in columns),
            f"{item.valid_share:.1%}",
        )
        emphasis = "**" if name == evaluation.verdict.model else ""
        rows.append((f"{emphasis}{markdown(label(name))}{emphasis}", *row))
    return _table(tuple(markdown(title) for title in header), rows)


def _cell(value: float, interval: Interval | None, form: str) -> str:
    return f"{value:{form}}{_span(interval, form) if interval else ''}"


def _span(interval: Interval, form: str) -> str:
    return f" ({interval.low:{form}} to {interval.high:{form}})"


def _facts(facts: Mapping[str, str | int | float]) -> str:
    return "".join(f"; {name} {value}" for name, value in facts.items())


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Cells are Markdown already."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(rows: Mapping[str, str | int | float]) -> Iterable[tuple[str, str]]:
    return ((markdown(name), markdown(value)) for name, value in rows.items())
