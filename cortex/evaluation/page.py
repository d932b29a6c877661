"""The evaluation as one HTML page that needs no script, no other file and no network; and as a part of other pages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cortex.evaluation import page_plots
from cortex.evaluation.confidence import Interval
from cortex.evaluation.copy_loss import CopyLoss, copy_losses
from cortex.evaluation.distillation_words import distillation_rows, distillation_sentences
from cortex.evaluation.page_chapters import chapter_html, chapter_id
from cortex.evaluation.page_frame import TABLE_END, figure_html, html_page, page_style, table_head
from cortex.evaluation.record import Comparison, Derived, Evaluated, Evaluation, Sample, Verdict, label
from cortex.text import html_text

SIMULATED_NOTE = (
    "The data are simulated. This shows that the pipeline learns a planted signal; it says nothing of the real world."
)


@dataclass(frozen=True)
class Figure:
    """One drawing on the page."""

    title: str
    note: str
    """A sentence on how to read the drawing."""
    svg: str


def render_page(evaluation: Evaluation, figures: Iterable[Figure] = (), notes: Sequence[str] = ()) -> str:
    """The page's text. The same evaluation gives the same bytes; every text in it is escaped.

    `figures` and `notes` on how to read the page are the domain's own.
    """
    lines = [*verdict_html(evaluation.verdict), *evaluation_html(evaluation, figures, notes)]
    title = f"Evaluation: {label(evaluation.verdict.model)}"
    return html_page(title, lines, page_style())


def evaluation_html(
    evaluation: Evaluation, figures: Iterable[Figure] = (), notes: Sequence[str] = (), *, name: str = ""
) -> Iterable[str]:
    """The lines of a page's part on an evaluation, below its verdict.

    `name` is the domain's where the page shows several; it makes the chapters' ids unique.
    """
    words = evaluation.words
    yield from _facts(evaluation)
    yield from _scores(evaluation)
    yield from _figure(
        Figure(
            "Skill",
            f"The share of the {label(words.reference)}'s {words.loss} that is saved. An interval that reaches below 0 "
            "shows no skill.",
            page_plots.skill_forest(evaluation),
        )
    )
    if evaluation.data.times:
        yield from _figure(
            Figure(
                "Skill over time",
                f"Skill gained up to each of the {words.clusters}. A line that rises steadily earned it throughout; "
                "one jump is luck.",
                page_plots.cumulative_skill(evaluation),
            )
        )
    for figure in figures:
        yield from _figure(figure)
    yield from _comparisons(evaluation)
    yield from _distillation(evaluation)
    for chapter in evaluation.chapters:
        yield from chapter_html(chapter, chapter_id(chapter, name))
    yield from _derived(evaluation.derived, {loss.name: loss for loss in copy_losses(evaluation)})
    yield from _samples(evaluation.samples)
    yield from _reading(evaluation, notes)


def verdict_html(verdict: Verdict, level: int = 1) -> Iterable[str]:
    """The lines of a verdict, below a heading of this level."""
    yield f"<h{level}>Evaluation of the model “{html_text(label(verdict.model))}”</h{level}>"
    yield f'<section class="verdict {verdict.outcome.replace(" ", "-")}">'
    yield f"<strong>{html_text(verdict.headline.capitalize())}</strong>"
    yield f"<p>{html_text(verdict.reason)}</p><p>{html_text(verdict.comparison)}</p></section>"


def _facts(evaluation: Evaluation) -> Iterable[str]:
    data, words = evaluation.data, evaluation.words
    facts = {
        "Test examples": f"{data.test_examples:,}",
        "Training examples": f"{data.train_examples:,}",
        words.clusters.capitalize(): f"{data.clusters:,}",
        **data.period,
        **data.facts,
    }
    yield "<dl>"
    yield from (f"<div><dt>{html_text(name)}</dt><dd>{html_text(value)}</dd></div>" for name, value in facts.items())
    note = f' <span class="note">{SIMULATED_NOTE}</span>' if data.simulated else ""
    yield f'<div class="wide"><dt>Source</dt><dd>{html_text(data.source)}{note}</dd></div></dl>'


def _scores(evaluation: Evaluation) -> Iterable[str]:
    words = evaluation.words
    titles = (words.skill, words.loss, *(column.title for column in evaluation.columns), f"Valid {words.replies}")
    yield '<h2>Scores</h2><p class="note">Below each score, its 95% interval.</p>'
    yield table_head("Scores", titles)
    for name, item in evaluation.models.items():
        yield _score_row(evaluation, name, item, judged=name == evaluation.verdict.model)
    yield '</tbody><tbody class="baselines">'
    for name, item in evaluation.baselines.items():
        yield _score_row(evaluation, name, item, judged=False)
    yield TABLE_END


def _score_row(evaluation: Evaluation, name: str, item: Evaluated, judged: bool) -> str:
    cells = [
        _cell(item.skill, item.intervals["skill"], "+z.3f"),
        _cell(item.loss, item.intervals["loss"], ".3f"),
        *(_cell(item.measures[one.name], item.intervals.get(one.name), one.form) for one in evaluation.columns),
        _cell(item.valid_share, None, ".1%"),
    ]
    row = '<tr class="judged">' if judged else "<tr>"
    return f"{row}<th>{html_text(label(name))}</th>{''.join(cells)}</tr>"


def _cell(value: float, interval: Interval | None, form: str) -> str:
    under = f"<small>{interval.low:{form}} to {interval.high:{form}}</small>" if interval else ""
    return f"<td>{value:{form}}{under}</td>"


def _figure(figure: Figure) -> Iterable[str]:
    yield f'<h2>{html_text(figure.title)}</h2><p class="note">{html_text(figure.note)}</p>'
    yield figure_html(figure.svg)


def _comparisons(evaluation: Evaluation) -> Iterable[str]:
    compared = {comparison.second for comparison in evaluation.comparisons}
    seconds = [name for name in evaluation.contenders if name in compared]
    cells = {(comparison.first, comparison.second): comparison for comparison in evaluation.comparisons}
    yield "<h2>One against another</h2>"
    loss = html_text(evaluation.words.loss)
    yield f'<p class="note">The {loss} of the column less that of the row, with its paired 95% interval.'
    yield "Above 0, the row is better. Shaded where the interval leaves no doubt.</p>"
    yield table_head("One against another", [label(second) for second in seconds])
    for name in evaluation.models:
        row = "".join(_comparison_cell(cells.get((name, second))) for second in seconds)
        yield f"<tr><th>{html_text(label(name))}</th>{row}</tr>"
    yield TABLE_END


def _comparison_cell(comparison: Comparison | None) -> str:
    if comparison is None:
        return "<td></td>"
    shade = {"beats": ' class="beats"', "worse than": ' class="worse"'}.get(comparison.relation, "")
    interval = comparison.interval
    return f"<td{shade}>{comparison.difference:+z.3f}<small>{interval.low:+z.3f} to {interval.high:+z.3f}</small></td>"


def _distillation(evaluation: Evaluation) -> Iterable[str]:
    found = evaluation.distillation
    if found is None:
        return
    titles = (evaluation.words.skill, evaluation.words.loss, f"Valid {evaluation.words.replies}")
    yield "<h2>Prompt distillation</h2>"
    yield from (f'<p class="note">{html_text(each)}</p>' for each in distillation_sentences(evaluation))
    yield table_head("Prompt distillation", titles)
    for name, item in distillation_rows(evaluation):
        cells = (
            _cell(item.skill, item.skill_interval, "+z.3f"),
            _cell(item.loss, item.loss_interval, ".3f"),
            _cell(item.valid_share, None, ".1%"),
        )
        yield f"<tr><th>{html_text(name)}</th>{''.join(cells)}</tr>"
    yield TABLE_END


def _derived(derived: Sequence[Derived], lost: Mapping[str, CopyLoss]) -> Iterable[str]:
    for index, weights in enumerate(derived):
        if not index:
            yield "<h2>Released weights</h2>"
            yield '<p class="note">The mean divergence of next-token distributions along held-out answers, in nats.</p>'
            yield table_head("Released weights", ("Made of", "Divergence", "Scores"))
        name, made_of = html_text(label(weights.name)), html_text(weights.made_of)
        scores = html_text(lost[weights.name].words) if weights.name in lost else ""
        yield f"<tr><th>{name}</th><td>{made_of}</td><td>{weights.divergence:.2g}</td><td>{scores}</td></tr>"
    if derived:
        yield TABLE_END
    for loss in lost.values():
        if loss.warning:
            yield f'<p class="worse"><strong>Warning:</strong> {html_text(loss.warning)}</p>'


def _samples(samples: Iterable[Sample]) -> Iterable[str]:
    for index, sample in enumerate(samples):
        if not index:
            yield "<h2>Examples</h2>"
        yield f"<article><h3>{html_text(sample.example_id)}: {html_text(sample.truth)}</h3>"
        yield f'<span class="note">prompt</span><pre>{html_text(sample.prompt)}</pre>'
        for model, answer in sample.answers.items():
            yield f'<span class="note">{html_text(label(model))}</span><pre>{html_text(answer)}</pre>'
        yield "</article>"


def _reading(evaluation: Evaluation, notes: Sequence[str]) -> Iterable[str]:
    data, words = evaluation.data, evaluation.words
    blocks = f" in blocks of {data.block_length}" if data.times else ""
    general = (
        f"The {words.skill} is the share of the {label(words.reference)}'s {words.loss} that is saved. An answer that "
        f"cannot be read counts as the {label(words.reference)}'s, so that refusing gains nothing.",
        f"Intervals come from {data.resamples:,} resamples of the {words.clusters}{blocks}: what belongs to one is "
        "drawn together, since it is right or wrong together.",
    )
    yield "<h2>How to read this</h2>"
    yield from (f"<p>{html_text(note)}</p>" for note in (*general, *notes))
