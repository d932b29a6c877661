"""The figures of every domain's page, drawn from the record alone, and the parts for a domain's own figures."""

from collections.abc import Sequence
from itertools import cycle, islice

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from cortex.evaluation.confidence import Interval
from cortex.evaluation.record import Evaluated, Evaluation, label
from cortex.evaluation.svg import THEME, plain_y, series, themed, to_svg

WIDTH = 10
"""Inches; at 72 units an inch the page shows them at their natural size."""
COLUMNS = 5
DASHES = ((0, (1, 1.5)), (0, (4, 1.5)), (0, (6, 1.5, 1, 1.5)), (0, (2, 1)))


def skill_forest(evaluation: Evaluation) -> str:
    """Skill with its interval, one row for each contender."""
    with themed():
        figure = Figure(layout="constrained", figsize=(WIDTH, 0.7 + 0.3 * len(evaluation.contenders)))
        axes = figure.subplots()
        rows = [(item.skill, item.intervals["skill"]) for item in evaluation.contenders.values()]
        forest(axes, evaluation, rows, reference=0.0)
        for row, (estimate, _) in enumerate(rows):
            axes.annotate(f"{estimate:+z.3f}", (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=9)
        words = evaluation.words
        axes.set_xlabel(f"{words.skill} against the {label(words.reference)}, 95% interval")
        return to_svg(figure, f"{words.skill} of every contender with its 95% interval")


def cumulative_skill(evaluation: Evaluation) -> str:
    """Skill gained and lost over time; each line ends at its contender's skill."""
    with themed():
        figure = Figure(layout="constrained", figsize=(WIDTH, 3.0))
        axes = figure.subplots()
        dates = np.array([time.replace(tzinfo=None) for time in evaluation.data.times], dtype="datetime64[s]")
        styles = ["-"] * len(evaluation.models) + list(islice(cycle(DASHES), len(evaluation.baselines)))
        styled = zip(evaluation.contenders.items(), colours(evaluation), styles, strict=True)
        lines = [
            axes.plot(
                dates,
                item.cumulative_skill,
                color=colour,
                linestyle=style,
                linewidth=2.4 if name == evaluation.verdict.model else 1.4,
                label=label(name),
            )[0]
            for (name, item), colour, style in styled
        ]
        # A legend in the order in which the lines end reads like labels at their ends.
        lines.sort(key=lambda line: -np.asarray(line.get_ydata())[-1])
        axes.legend(handles=lines, loc="center left", bbox_to_anchor=(1.0, 0.5))
        axes.axhline(0, color=THEME["muted"], linewidth=0.8)
        axes.grid(visible=False, axis="x")
        locator = AutoDateLocator(maxticks=8)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.set_ylabel(f"{evaluation.words.skill} gained so far")
        axes.margins(x=0.01)
        return to_svg(figure, f"{evaluation.words.skill} accumulated over the test period by every contender")


def forest(axes: Axes, evaluation: Evaluation, rows: Sequence[tuple[float, Interval]], reference: float) -> None:
    """Draw estimates with their intervals, one row each from the top, and the reference line."""
    axes.axvline(reference, color=THEME["muted"], linewidth=1)
    for row, ((estimate, interval), colour) in enumerate(zip(rows, colours(evaluation), strict=True)):
        axes.plot([interval.low, interval.high], [row, row], color=colour, linewidth=2, solid_capstyle="round")
        axes.plot(estimate, row, marker="o", markersize=6.5, color=colour, markeredgecolor=THEME["surface"])
    axes.set_yticks(range(len(rows)), [label(name) for name in evaluation.contenders])
    axes.tick_params(axis="y", labelcolor=THEME["ink"])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    plain_y(axes)


def panels(
    evaluation: Evaluation, height: float, *, same_scale: bool
) -> tuple[Figure, list[tuple[Axes, Evaluated, str]]]:
    """One small panel for each model, in rows of five, with probabilities from 0 to 1 on the x axis."""
    models = list(evaluation.models.items())
    columns = min(COLUMNS, len(models))
    rows = -(-len(models) // columns)
    figure = Figure(layout="constrained", figsize=(WIDTH * columns / COLUMNS, height * rows))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=same_scale).ravel()
    for axes in grid[len(models) :]:
        axes.set_visible(False)
    for axes, (name, _) in zip(grid, models, strict=False):
        axes.set(xlim=(0, 1), title=label(name))
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    return figure, [
        (axes, item, colour) for axes, (_, item), colour in zip(grid, models, colours(evaluation), strict=False)
    ]


def colours(evaluation: Evaluation) -> list[str]:
    """A colour of its own for each model, one muted colour for the baselines."""
    return [series(index) for index in range(len(evaluation.models))] + [THEME["muted"]] * len(evaluation.baselines)
