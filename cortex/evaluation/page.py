"""The evaluation as one HTML page that needs no script, no other file and no network."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files

from cortex.evaluation import plots
from cortex.evaluation.copy_loss import CopyLoss, copy_losses
from cortex.evaluation.record import (
    Comparison,
    DataSummary,
    Derived,
    Evaluated,
    Evaluation,
    Interval,
    Sample,
    Verdict,
    label,
)
from cortex.text import html_text

SIMULATED_NOTE = (
    "The data are simulated. This shows that the pipeline learns a planted signal; it says nothing of markets."
)

_COLUMNS = (
    "Brier skill",
    "Brier",
    "Accuracy",
    "Log loss",
    "Calibration error",
    "Return MAE skill",
    "Coverage of 90% interval",
    "Width of interval",
    "Valid answers",
)


def render_page(evaluation: Evaluation) -> str:
    """The page's text. The same evaluation gives the same bytes; every text in it is escaped."""
    body = "\n".join(_body(evaluation))
    style = files("cortex.evaluation").joinpath("page.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Forecast evaluation: {html_text(evaluation.verdict.model)}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def _body(evaluation: Evaluation) -> Iterable[str]:
    yield from _verdict(evaluation.verdict)
    yield from _facts(evaluation.data)
    yield from _scores(evaluation)
    yield from _figure(
        "Skill",
        "The share of the base rate's Brier score that is saved. An interval that reaches below 0 shows no skill.",
        plots.skill_forest(evaluation),
    )
    yield from _figure(
        "Skill over time",
        "Skill gained up to each decision date. A line that rises steadily earned it throughout; one jump is luck.",
        plots.cumulative_skill(evaluation),
    )
    yield from _figure(
        "Calibration",
        "Ten groups of equal size by stated probability. On the diagonal, what is stated is what happens.",
        plots.reliability_diagrams(evaluation),
    )
    yield from _figure(
        "Stated probabilities",
        "How often each probability was stated. Abstentions stand at the base rate.",
        plots.stated_probabilities(evaluation),
    )
    yield from _figure(
        "Return intervals",
        "A 90% interval should hold 90% of outcomes, and be no wider than that takes.",
        plots.interval_coverage(evaluation),
    )
    yield from _comparisons(evaluation)
    yield from _derived(evaluation.derived, {loss.name: loss for loss in copy_losses(evaluation)})
    yield from _samples(evaluation.samples)
    yield from _reading(evaluation.data)


def _verdict(verdict: Verdict) -> Iterable[str]:
    yield f"<h1>Forecast evaluation of the model “{html_text(label(verdict.model))}”</h1>"
    yield f'<section class="verdict{" shown" if verdict.skill_shown else ""}">'
    yield f"<strong>{html_text(verdict.headline.capitalize())}</strong>"
    yield f"<p>{html_text(verdict.reason)}</p><p>{html_text(verdict.comparison)}</p></section>"


def _facts(data: DataSummary) -> Iterable[str]:
    first, last = data.decision_times[0], data.decision_times[-1]
    overlap = f", outcomes overlap over {data.horizon_steps} dates" if data.horizon_steps > 1 else ""
    facts = {
        "Test examples": f"{data.test_examples:,}",
        "Training examples": f"{data.train_examples:,}",
        "Decision dates": f"{len(data.decision_times):,}",
        "Period": f"{first:%Y-%m-%d} to {last:%Y-%m-%d}",
        "Symbols": f"{len(data.symbols)}",
        "Horizon": f"{data.horizon_days:g} day{'' if data.horizon_days == 1 else 's'}{overlap}",
        "Base rate (up in training)": f"{data.base_rate:.1%}",
        "Up in test": f"{data.test_up_rate:.1%}",
    }
    yield "<dl>"
    yield from (f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    note = f' <span class="note">{SIMULATED_NOTE}</span>' if data.simulated else ""
    yield f'<div class="wide"><dt>Source</dt><dd>{html_text(data.source)}{note}</dd></div></dl>'


def _scores(evaluation: Evaluation) -> Iterable[str]:
    yield '<h2>Scores</h2><p class="note">Below each score, its 95% interval.</p><div class="scroll"><table>'
    yield f"<thead><tr><th></th>{''.join(f'<th>{column}</th>' for column in _COLUMNS)}</tr></thead><tbody>"
    for name, item in evaluation.models.items():
        yield _score_row(name, item, judged=name == evaluation.verdict.model)
    yield '</tbody><tbody class="baselines">'
    for name, item in evaluation.baselines.items():
        yield _score_row(name, item, judged=False)
    yield "</tbody></table></div>"


def _score_row(name: str, item: Evaluated, judged: bool) -> str:
    scores, intervals = item.scores, item.intervals
    cells = (
        _cell(f"{scores.brier_skill:+z.3f}", intervals.brier_skill, "{:+z.3f}"),
        _cell(f"{scores.brier:.3f}", intervals.brier, "{:.3f}"),
        _cell(f"{scores.accuracy:.1%}", intervals.accuracy, "{:.1%}"),
        _cell(f"{scores.log_loss:.3f}", intervals.log_loss, "{:.3f}"),
        _cell(f"{scores.calibration_error:.3f}"),
        _cell(f"{scores.return_skill:+z.3f}", intervals.return_skill, "{:+z.3f}"),
        _cell(f"{scores.coverage:.1%}", intervals.coverage, "{:.1%}"),
        _cell(f"{scores.interval_width:.2%}"),
        _cell(f"{scores.valid_share:.1%}"),
    )
    row = '<tr class="judged">' if judged else "<tr>"
    return f"{row}<th>{html_text(label(name))}</th>{''.join(cells)}</tr>"


def _cell(value: str, interval: Interval | None = None, form: str = "") -> str:
    under = f"<small>{form.format(interval.low)} to {form.format(interval.high)}</small>" if interval else ""
    return f"<td>{value}{under}</td>"


def _figure(title: str, note: str, svg: str) -> Iterable[str]:
    yield f'<h2>{title}</h2><p class="note">{note}</p><figure>{svg}</figure>'


def _comparisons(evaluation: Evaluation) -> Iterable[str]:
    compared = {comparison.second for comparison in evaluation.comparisons}
    seconds = [name for name in evaluation.forecasters if name in compared]
    cells = {(comparison.first, comparison.second): comparison for comparison in evaluation.comparisons}
    yield "<h2>One against another</h2>"
    yield '<p class="note">The Brier score of the column less that of the row, with its paired 95% interval.'
    yield "Above 0, the row is better. Shaded where the interval leaves no doubt.</p>"
    yield '<div class="scroll"><table><thead><tr><th></th>'
    yield from (f"<th>{html_text(label(second))}</th>" for second in seconds)
    yield "</tr></thead><tbody>"
    for name in evaluation.models:
        row = "".join(_comparison_cell(cells.get((name, second))) for second in seconds)
        yield f"<tr><th>{html_text(label(name))}</th>{row}</tr>"
    yield "</tbody></table></div>"


def _comparison_cell(comparison: Comparison | None) -> str:
    if comparison is None:
        return "<td></td>"
    shade = {"beats": ' class="beats"', "worse than": ' class="worse"'}.get(comparison.relation, "")
    interval = comparison.interval
    return f"<td{shade}>{comparison.difference:+z.3f}<small>{interval.low:+z.3f} to {interval.high:+z.3f}</small></td>"


def _derived(derived: Sequence[Derived], lost: Mapping[str, CopyLoss]) -> Iterable[str]:
    for index, weights in enumerate(derived):
        if not index:
            yield "<h2>Released weights</h2>"
            yield '<p class="note">The mean divergence of next-token distributions along held-out answers, in nats.</p>'
            yield "<table><thead><tr><th></th><th>Made of</th><th>Divergence</th><th>Scores</th></tr></thead><tbody>"
        name, made_of = html_text(label(weights.name)), html_text(weights.made_of)
        scores = html_text(lost[weights.name].words) if weights.name in lost else ""
        yield f"<tr><th>{name}</th><td>{made_of}</td><td>{weights.divergence:.2g}</td><td>{scores}</td></tr>"
    if derived:
        yield "</tbody></table>"
    for loss in lost.values():
        if loss.warning:
            yield f'<p class="worse"><strong>Warning:</strong> {html_text(loss.warning)}</p>'


def _samples(samples: Iterable[Sample]) -> Iterable[str]:
    for index, sample in enumerate(samples):
        if not index:
            yield "<h2>Examples</h2>"
        yield f"<article><h3>{html_text(sample.example_id)}: the return was {sample.outcome:+.2%}</h3>"
        yield f'<span class="note">prompt</span><pre>{html_text(sample.prompt)}</pre>'
        for model, answer in sample.answers.items():
            yield f'<span class="note">{html_text(label(model))}</span><pre>{html_text(answer)}</pre>'
        yield "</article>"


def _reading(data: DataSummary) -> Iterable[str]:
    yield f"""<h2>How to read this</h2>
<p>Up means a return above 0. The Brier score is the mean squared error of the stated probability of up; Brier skill
is the share of the training base rate's Brier score that a forecaster saves. Log loss is in nats, with probabilities
clipped to 0.001 and 0.999. Return MAE skill compares the error of the expected return with that of expecting none.</p>
<p>An answer that cannot be read counts as the base rate, no return, and the interval of the training outcomes, so that
refusing gains nothing. Momentum, logistic regression and the base rate are fitted on the training period alone.</p>
<p>Intervals come from {data.resamples:,} resamples of the decision dates in blocks of {data.block_length}: all symbols
of a date are drawn together, since they share one market. They speak of this period's luck, not of another market
regime. Nothing here is investment advice.</p>"""
