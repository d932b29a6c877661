"""The figures of a market's page, drawn from the record alone. Each function returns one inline SVG."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import PercentFormatter

from cortex.domains.markets.calibration import P_COUNTS, RELIABILITY
from cortex.domains.markets.forecasts import INTERVAL_LEVEL
from cortex.evaluation.page import Figure
from cortex.evaluation.page_plots import WIDTH, colours, forest, panels
from cortex.evaluation.record import Evaluated, Evaluation
from cortex.evaluation.svg import THEME, plain_y, themed, to_svg


def market_figures(evaluation: Evaluation) -> Iterable[Figure]:
    """Calibration, stated probabilities and return intervals."""
    yield Figure(
        "Calibration",
        "Ten groups of equal size by stated probability. On the diagonal, what is stated is what happens.",
        reliability_diagrams(evaluation),
    )
    yield Figure(
        "Stated probabilities",
        "How often each probability was stated. Abstentions stand at the base rate.",
        stated_probabilities(evaluation),
    )
    yield Figure(
        "Return intervals",
        "A 90% interval should hold 90% of outcomes, and be no wider than that takes.",
        interval_coverage(evaluation),
    )


def interval_coverage(evaluation: Evaluation) -> str:
    """Share of outcomes inside the stated intervals, next to the intervals' mean width."""
    with themed():
        figure = Canvas(layout="constrained", figsize=(WIDTH, 0.7 + 0.3 * len(evaluation.contenders)))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        everyone = evaluation.contenders.values()
        rows = [(item.measures["coverage"], item.intervals["coverage"]) for item in everyone]
        forest(left, evaluation, rows, reference=INTERVAL_LEVEL)
        left.set_xlabel("Outcomes inside the 90% interval")
        left.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        widths = [item.measures["interval_width"] for item in everyone]
        right.barh(range(len(widths)), widths, height=0.5, color=colours(evaluation))
        right.set_xlabel("Mean width of the interval")
        right.xaxis.set_major_formatter(PercentFormatter(1))
        plain_y(right)
        return to_svg(figure, "Coverage and mean width of the stated 90% return intervals")


def reliability_diagrams(evaluation: Evaluation) -> str:
    """A reliability diagram for each model: the realised share of rises for each stated probability."""
    with themed():
        figure, drawn = panels(evaluation, height=2.5, same_scale=True)
        for axes, item, colour in drawn:
            stated, realised, counts = (np.array(column) for column in reliability_of(item))
            axes.plot([0, 1], [0, 1], color=THEME["muted"], linewidth=0.8, linestyle=(0, (3, 2)))
            axes.plot(stated, realised, color=colour, linewidth=1.2)
            axes.scatter(
                stated,
                realised,
                s=10 + 300 * counts / counts.sum(),
                color=colour,
                edgecolors=THEME["surface"],
                linewidths=0.8,
                zorder=3,
            )
            axes.set(ylim=(0, 1), aspect="equal", xlabel="stated P(up)")
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        drawn[0][0].set_ylabel("share that rose")
        return to_svg(figure, "Reliability diagram of every model: stated probability against realised share")


def stated_probabilities(evaluation: Evaluation) -> str:
    """A histogram of the stated probabilities for each model."""
    with themed():
        figure, drawn = panels(evaluation, height=1.6, same_scale=False)
        for axes, item, colour in drawn:
            shares = np.array(item.details[P_COUNTS]) / item.n
            axes.bar((np.arange(len(shares)) + 0.5) / len(shares), shares, width=0.86 / len(shares), color=colour)
            axes.set_xlabel("stated P(up)")
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        drawn[0][0].set_ylabel("share of answers")
        return to_svg(figure, "Distribution of the stated probability of every model")


def reliability_of(item: Evaluated) -> tuple[list[float], list[float], list[int]]:
    """The bins of a reliability diagram: mean stated probability, realised share, count."""
    found: Any = item.details[RELIABILITY]
    return found["mean_p"], found["up_rate"], found["count"]
