"""Chapters on a page: their sentences, tables and charts as HTML."""

import re
from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from cortex.evaluation.chapter import Cell, Chapter, Chart, Line, Table
from cortex.evaluation.page_frame import TABLE_END, figure_html, table_head
from cortex.evaluation.page_plots import WIDTH
from cortex.evaluation.record import label
from cortex.evaluation.svg import THEME, series, themed, to_svg
from cortex.text import html_text


def chapter_id(chapter: Chapter, domain: str = "") -> str:
    """The id of a chapter on a page, which links lead to; `domain` is named where the page shows several."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", f"{domain} {chapter.name}").strip("-")
    return f"chapter-{words}"


def chapter_html(chapter: Chapter, place: str) -> Iterable[str]:
    """The lines of one chapter, whose id is `place`; every text in them is escaped."""
    yield f'<section id="{place}"><h2>{html_text(chapter.title)}</h2>'
    yield from (f"<p>{html_text(sentence)}</p>" for sentence in chapter.sentences)
    for table in chapter.tables:
        yield from _table(table)
    for chart in chapter.charts:
        yield f'<h3>{html_text(chart.title)}</h3><p class="note">{html_text(chart.note)}</p>'
        yield figure_html(chart_svg(chart))
    yield "</section>"


def _table(table: Table) -> Iterable[str]:
    yield f"<h3>{html_text(table.title)}</h3>"
    if table.note:
        yield f'<p class="note">{html_text(table.note)}</p>'
    yield table_head(table.title, [heading.title for heading in table.headings])
    for row in table.rows:
        cells = "".join(_cell(cell, heading.form) for cell, heading in zip(row.cells, table.headings, strict=True))
        judged = ' class="judged"' if row.is_judged else ""
        yield f"<tr{judged}><th>{html_text(label(row.name))}</th>{cells}</tr>"
    yield TABLE_END


def _cell(cell: Cell, form: str) -> str:
    if cell.value is None:
        return f"<td>{html_text(cell.text)}</td>"
    low_high = cell.interval
    under = f"<small>{low_high.low:{form}} to {low_high.high:{form}}</small>" if low_high else ""
    return f"<td>{cell.value:{form}}{under}</td>"


def chart_svg(chart: Chart) -> str:
    """A chart as one inline SVG."""
    with themed():
        figure = Figure(layout="constrained", figsize=(WIDTH, 3.0))
        axes = figure.subplots()
        for index, line in enumerate(chart.lines):
            _line(axes, line, series(index), is_time=chart.x_is_time)
        if chart.level is not None:
            axes.axhline(chart.level, color=THEME["muted"], linewidth=0.8)
        if chart.has_diagonal:
            ends = (max(axes.get_xlim()[0], axes.get_ylim()[0]), min(axes.get_xlim()[1], axes.get_ylim()[1]))
            axes.plot(ends, ends, color=THEME["muted"], linewidth=0.8, linestyle=(0, (3, 2)))
        if chart.x_is_time:
            locator = AutoDateLocator(maxticks=8)
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        else:
            axes.xaxis.set_major_formatter(_formatter(chart.x_form))
        axes.yaxis.set_major_formatter(_formatter(chart.y_form))
        axes.set(xlabel=chart.x_title, ylabel=chart.y_title)
        if len(chart.lines) > 1:
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        axes.margins(x=0.01)
        return to_svg(figure, chart.title)


def _line(axes: Axes, line: Line, colour: str, *, is_time: bool) -> None:
    x = np.array(line.x)
    if is_time:
        x = x.astype("datetime64[s]")
    axes.plot(x, line.y, color=colour, marker="o" if line.has_marks else None, markersize=4, label=label(line.name))
    if line.low:
        axes.fill_between(x, line.low, line.high, color=colour, alpha=0.15, linewidth=0)


def _formatter(form: str) -> FuncFormatter:
    return FuncFormatter(lambda value, _: format(value, form))
