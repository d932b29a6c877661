"""The page of a run, `report.html`: one file that needs no network, and whose script is its own."""

from collections.abc import Iterable
from importlib.resources import files

import polars as pl

from cortex.evaluation.page import evaluation_html, verdict_html
from cortex.evaluation.page_chapters import chapter_id
from cortex.evaluation.page_frame import html_page, page_style
from cortex.evaluation.record import Evaluation
from cortex.report.gathered_run import GatheredRun
from cortex.report.money_section import money_html
from cortex.report.origin_section import data_html, lineage_html
from cortex.report.training_section import training_html
from cortex.report.transcript_section import transcripts_html
from cortex.runs.stage_list import models
from cortex.text import html_text

LARGEST = 2_000_000
"""Bytes of a page at most, as far as its transcripts decide: the rest of it is far smaller."""

ROOM = 20_000
"""Bytes that are left for what stands around the transcripts."""


def run_page(run: GatheredRun) -> str:
    """The page's text. The same run gives the same bytes; every text of others in it is escaped."""
    lines = [f'<h1 class="run">Run {html_text(run.run)}</h1>', *_contents(run), *_verdicts(run)]
    lines += [*_section("money", "Money and time", money_html(run))]
    lines += [*_section("training", "Training", training_html(run))]
    lines += list(_evaluations(run))
    after = [*_section("data", "Data", data_html(run)), *_section("lineage", "Lineage", lineage_html(run))]
    style, script = page_style() + _own("report.css"), ""
    if run.transcripts:
        script = _own("finder.js")
        used = sum(len(line.encode()) + 1 for line in (*lines, *after, style, script))
        table = pl.concat(list(run.transcripts.values()))
        lines += _section(
            "transcripts", "Transcripts", transcripts_html(table, models(run.profile)[-1], LARGEST - used - ROOM)
        )
    return html_page(f"Run {run.run}", [*lines, *after], style, script)


def report_style() -> str:
    """The style of a run's page, and of a comparison."""
    return page_style() + _own("report.css")


def _own(name: str) -> str:
    return files("cortex.report").joinpath(name).read_text(encoding="utf-8")


def _section(place: str, title: str, lines: Iterable[str]) -> Iterable[str]:
    yield f'<section id="{place}"><h2>{html_text(title)}</h2>'
    yield from lines
    yield "</section>"


def _contents(run: GatheredRun) -> Iterable[str]:
    """Links to the page's parts."""
    links = {"verdict": "Verdict", "money": "Money and time", "training": "Training"}
    several = len(run.evaluations) > 1
    for number, (name, evaluation) in enumerate(run.evaluations.items()):
        links[f"evaluation-{number}"] = f"Evaluation of {name}" if several else "Evaluation"
        for chapter in evaluation.chapters:
            title = f"{name}: {chapter.title}" if several else chapter.title
            links[chapter_id(chapter, name if several else "")] = title
    if run.transcripts:
        links["transcripts"] = "Transcripts"
    links |= {"data": "Data", "lineage": "Lineage"}
    items = "".join(f'<li><a href="#{place}">{html_text(title)}</a></li>' for place, title in links.items())
    yield f'<nav aria-label="Contents"><ul>{items}</ul></nav>'


def _verdicts(run: GatheredRun) -> Iterable[str]:
    yield '<div id="verdict">'
    if not run.evaluations:
        stage = next((stage for stage in run.status.stages if stage.name == "evaluate"), None)
        state = stage.state if stage else "not asked for"
        yield f"<p>There is no verdict: the run is not evaluated (its stage evaluate is {html_text(state)}).</p>"
    for name, evaluation in run.evaluations.items():
        if len(run.evaluations) > 1:
            yield f"<h2>{html_text(name)}</h2>"
        yield from verdict_html(evaluation.verdict, 3 if len(run.evaluations) > 1 else 2)
        yield f'<p class="note">{html_text(_grounds(evaluation))}</p>'
    yield "</div>"


def _grounds(evaluation: Evaluation) -> str:
    """The evidence that a verdict rests on, and what it could show at all, in words."""
    data, words, verdict = evaluation.data, evaluation.words, evaluation.verdict
    period = "".join(f" {title.lower()} {value};" for title, value in data.period.items())
    known = f" {verdict.tries.words}" if verdict.tries.words else " No other model is known to have been judged by it."
    return (
        f"It rests on {data.test_examples:,} test examples of {data.clusters:,} {words.clusters};{period} "
        f"{data.resamples:,} resamples; source: {data.source}. Such a test shows a true {words.skill} of "
        f"{verdict.least_skill:.3f} four times in five.{known}"
    )


def _evaluations(run: GatheredRun) -> Iterable[str]:
    several = len(run.evaluations) > 1
    for number, (name, evaluation) in enumerate(run.evaluations.items()):
        domain = run.profile.domain.parts()[name]
        # The transcripts have all texts: the few of the evaluation's own page would say them twice.
        shown = evaluation.model_copy(update={"samples": []}) if name in run.transcripts else evaluation
        yield f'<section id="evaluation-{number}">'
        if several:
            yield f"<h2>Evaluation of {html_text(name)}</h2>"
        yield from evaluation_html(shown, domain.figures(shown), domain.notes(), name=name if several else "")
        yield "</section>"
