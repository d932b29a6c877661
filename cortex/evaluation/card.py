"""The model card that travels with a release: Markdown, headed by the metadata that the Hugging Face hub reads."""

from collections.abc import Iterable, Mapping

import yaml
from pydantic import BaseModel, ConfigDict

from cortex.evaluation.copy_loss import CopyLoss, copy_losses
from cortex.evaluation.record import Derived, Evaluation, Interval, label
from cortex.text import code, harmless, markdown

LIMITS = (
    "It forecasts one horizon from the features listed above, in prompts of the form it was trained on. It has not "
    "been tried on other assets, horizons or forms of prompt.",
    "It is no investment advice. Scores leave out fees, spreads, slippage and the size of a position: skill in "
    "probability is not profit.",
    "The intervals say what the luck of this test period could have made of the same model. They do not cover a market "
    "that behaves differently from this period.",
    "Its reasoning is text that came with good forecasts. It need not be the cause of the stated probability.",
)
SIMULATED_LIMIT = (
    "**The data are simulated.** The scores show that the pipeline learns a signal planted on purpose. "
    "They say nothing of markets."
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
    features: list[str]
    """Contents of a prompt, in words."""
    training: list[TrainingStage]
    folders: dict[str, str] = {}
    """The release's folders of weights, and what each holds."""
    provenance: dict[str, str]
    """Hashes by what they are of: code, profile, and each artifact's manifest."""


def model_card(details: CardDetails, evaluation: Evaluation) -> str:
    """The card's text. The same inputs give the same bytes."""
    metadata = yaml.safe_dump(_metadata(details, evaluation), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{metadata}---\n\n" + "\n\n".join(_sections(details, evaluation)) + "\n"


def _metadata(details: CardDetails, evaluation: Evaluation) -> dict[str, object]:
    """The hub's fields (huggingface.co/docs/hub/model-cards), the judged model's scores among them."""
    scores = evaluation.forecasters[evaluation.verdict.model].scores
    metrics = {
        "brier_skill": "Brier skill against the base rate",
        "brier": "Brier score",
        "accuracy": "Accuracy of the direction",
        "log_loss": "Log loss",
        "calibration_error": "Expected calibration error",
    }
    results = {
        "task": {"type": "text-generation", "name": "Probabilistic forecasting"},
        "dataset": {
            "type": "simulated" if evaluation.data.simulated else "market",
            "name": harmless(evaluation.data.source),
        },
        "metrics": [
            {"type": metric, "name": name, "value": round(getattr(scores, metric), 6)}
            for metric, name in metrics.items()
        ],
    }
    return {
        "language": ["en"],
        "license": harmless(details.license),
        **({"base_model": harmless(details.base_model)} if details.base_model else {}),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["forecasting", "reasoning", *(["simulated-data"] if evaluation.data.simulated else [])],
        "model-index": [{"name": harmless(details.title), "results": [results]}],
    }


def _sections(details: CardDetails, evaluation: Evaluation) -> Iterable[str]:
    data, verdict = evaluation.data, evaluation.verdict
    yield f"# {markdown(details.title)}"
    yield f"**{verdict.headline.capitalize()}.** {markdown(verdict.reason)} {markdown(verdict.comparison)}"
    if data.simulated:
        yield SIMULATED_LIMIT
    losses = copy_losses(evaluation)
    for loss in losses:
        if loss.warning:
            yield f"**Warning:** {markdown(loss.warning)}"
    days = "day" if data.horizon_days == 1 else f"{data.horizon_days:g} days"
    origin = f"tuned from {code(details.base_model)}" if details.base_model else "built from nothing"
    yield (
        f"A language model, {origin}, that reads what is known at a decision time, reasons, and states the "
        f"probability of a rise over the next {days}, an expected return and a 90% interval of the return."
    )
    yield _table(("Profile", ""), _escaped(details.profile))
    yield "## Data"
    yield markdown(data.source)
    first, last = data.decision_times[0], data.decision_times[-1]
    yield _table(
        ("Split by time", ""),
        {
            "Training examples": f"{data.train_examples:,}, {data.base_rate:.1%} of them up: the base rate",
            "Test examples": f"{data.test_examples:,}, {data.test_up_rate:.1%} of them up",
            "Test period": f"{first:%Y-%m-%d} to {last:%Y-%m-%d}, {len(data.decision_times):,} decision dates",
            "Symbols": f"{len(data.symbols)}: {', '.join(map(markdown, data.symbols))}",
            "Features": ", ".join(map(markdown, details.features)),
        }.items(),
    )
    yield "## Training"
    stages = {stage.name: f"{stage.method}{_facts(stage.facts)}" for stage in details.training}
    yield _table(("Stage", "What was done"), _escaped(stages))
    yield "## Scores"
    yield "On the test period, with 95% intervals (circular block bootstrap over decision dates)."
    yield _scores(evaluation)
    if details.folders:
        yield "## Weights"
        divergences = {weights.name: weights for weights in evaluation.derived}
        lost = {loss.name: loss for loss in losses}
        yield _table(("Folder", "What it is"), _weights(details.folders, divergences, lost))
    yield "## Limits"
    yield "\n".join(f"- {limit}" for limit in LIMITS)
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
    header = ("Forecaster", "Brier skill", "Brier", "Accuracy", "Log loss", "90% coverage", "Valid")
    rows: list[tuple[str, ...]] = []
    for name, item in evaluation.forecasters.items():
        scores, intervals = item.scores, item.intervals
        row = (
            f"{scores.brier_skill:+z.3f}{_span(intervals.brier_skill, '+z.3f')}",
            f"{scores.brier:.3f}{_span(intervals.brier, '.3f')}",
            f"{scores.accuracy:.1%}{_span(intervals.accuracy, '.1%')}",
            f"{scores.log_loss:.3f}{_span(intervals.log_loss, '.3f')}",
            f"{scores.coverage:.1%}{_span(intervals.coverage, '.1%')}",
            f"{scores.valid_share:.1%}",
        )
        emphasis = "**" if name == evaluation.verdict.model else ""
        rows.append((f"{emphasis}{markdown(label(name))}{emphasis}", *row))
    return _table(header, rows)


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
