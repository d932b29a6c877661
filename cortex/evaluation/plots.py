"""The report's figures, drawn from the record alone. Each function gives one inline SVG."""

from collections.abc import Sequence
from itertools import cycle, islice

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from cortex.evaluation.forecasts import INTERVAL_LEVEL
from cortex.evaluation.record import Evaluated, Evaluation, Interval, label
from cortex.evaluation.svg import THEME, plain_y, series, themed, to_svg

WIDTH = 10
"""Inches; at 72 units an inch the page shows them at their natural size."""
COLUMNS = 5
DASHES = ((0, (1, 1.5)), (0, (4, 1.5)), (0, (6, 1.5, 1, 1.5)), (0, (2, 1)))


def skill_forest(evaluation: Evaluation) -> str:
    """Brier skill with its interval, one row a forecaster."""
    with themed():
        figure = Figure(layout="constrained", figsize=(WIDTH, 0.7 + 0.3 * len(evaluation.forecasters)))
        axes = figure.subplots()
        rows = [(item.scores.brier_skill, item.intervals.brier_skill) for item in evaluation.forecasters.values()]
        _forest(axes, evaluation, rows, reference=0.0)
        for row, (estimate, _) in enumerate(rows):
            axes.annotate(f"{estimate:+z.3f}", (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=9)
        axes.set_xlabel("Brier skill against the training base rate, 95% interval")
        return to_svg(figure, "Brier skill of every forecaster with its 95% interval")


def interval_coverage(evaluation: Evaluation) -> str:
    """Share of outcomes inside the stated intervals, next to the intervals' width."""
    with themed():
        figure = Figure(layout="constrained", figsize=(WIDTH, 0.7 + 0.3 * len(evaluation.forecasters)))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        scores = [item.scores for item in evaluation.forecasters.values()]
        intervals = [item.intervals.coverage for item in evaluation.forecasters.values()]
        rows = [(score.coverage, interval) for score, interval in zip(scores, intervals, strict=True)]
        _forest(left, evaluation, rows, reference=INTERVAL_LEVEL)
        left.set_xlabel("Outcomes inside the 90% interval")
        left.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        widths = [score.interval_width for score in scores]
        right.barh(range(len(widths)), widths, height=0.5, color=_colours(evaluation))
        right.set_xlabel("Mean width of the interval")
        right.xaxis.set_major_formatter(PercentFormatter(1))
        plain_y(right)
        return to_svg(figure, "Coverage and mean width of the stated 90% return intervals")


def cumulative_skill(evaluation: Evaluation) -> str:
    """Skill gained and lost over time; each line ends at its forecaster's Brier skill."""
    with themed():
        figure = Figure(layout="constrained", figsize=(WIDTH, 3.0))
        axes = figure.subplots()
        dates = np.array([time.replace(tzinfo=None) for time in evaluation.data.decision_times], dtype="datetime64[s]")
        styles = ["-"] * len(evaluation.models) + list(islice(cycle(DASHES), len(evaluation.baselines)))
        styled = zip(evaluation.forecasters.items(), _colours(evaluation), styles, strict=True)
        lines = [
            axes.plot(
                dates,
                item.curves.cumulative_skill,
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
        axes.set_ylabel("Brier skill gained so far")
        axes.margins(x=0.01)
        return to_svg(figure, "Brier skill accumulated over the test period by every forecaster")


def reliability_diagrams(evaluation: Evaluation) -> str:
    """For each model, how often what it stated came true."""
    with themed():
        figure, panels = _panels(evaluation, height=2.5, same_scale=True)
        for axes, item, colour in panels:
            bins = item.curves.reliability
            counts = np.array([each.count for each in bins])
            axes.plot([0, 1], [0, 1], color=THEME["muted"], linewidth=0.8, linestyle=(0, (3, 2)))
            axes.plot([each.mean_p for each in bins], [each.up_rate for each in bins], color=colour, linewidth=1.2)
            axes.scatter(
                [each.mean_p for each in bins],
                [each.up_rate for each in bins],
                s=10 + 300 * counts / counts.sum(),
                color=colour,
                edgecolors=THEME["surface"],
                linewidths=0.8,
                zorder=3,
            )
            axes.set(ylim=(0, 1), aspect="equal", xlabel="stated P(up)")
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        panels[0][0].set_ylabel("share that rose")
        return to_svg(figure, "Reliability diagram of every model: stated probability against realised share")


def stated_probabilities(evaluation: Evaluation) -> str:
    """For each model, how often it stated which probability."""
    with themed():
        figure, panels = _panels(evaluation, height=1.6, same_scale=False)
        for axes, item, colour in panels:
            shares = np.array(item.curves.p_counts) / item.scores.n
            axes.bar((np.arange(len(shares)) + 0.5) / len(shares), shares, width=0.86 / len(shares), color=colour)
            axes.set_xlabel("stated P(up)")
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        panels[0][0].set_ylabel("share of answers")
        return to_svg(figure, "Distribution of the stated probability of every model")


def _forest(axes: Axes, evaluation: Evaluation, rows: Sequence[tuple[float, Interval]], reference: float) -> None:
    """Estimates with their intervals, a row each from the top, and the line they are read against."""
    axes.axvline(reference, color=THEME["muted"], linewidth=1)
    for row, ((estimate, interval), colour) in enumerate(zip(rows, _colours(evaluation), strict=True)):
        axes.plot([interval.low, interval.high], [row, row], color=colour, linewidth=2, solid_capstyle="round")
        axes.plot(estimate, row, marker="o", markersize=6.5, color=colour, markeredgecolor=THEME["surface"])
    axes.set_yticks(range(len(rows)), [label(name) for name in evaluation.forecasters])
    axes.tick_params(axis="y", labelcolor=THEME["ink"])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    plain_y(axes)


def _panels(
    evaluation: Evaluation, height: float, *, same_scale: bool
) -> tuple[Figure, list[tuple[Axes, Evaluated, str]]]:
    """One small panel a model over the probabilities, in rows of five."""
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
        (axes, item, colour) for axes, (_, item), colour in zip(grid, models, _colours(evaluation), strict=False)
    ]


def _colours(evaluation: Evaluation) -> list[str]:
    """A colour of its own for each model, one muted colour for the baselines."""
    return [series(index) for index in range(len(evaluation.models))] + [THEME["muted"]] * len(evaluation.baselines)
