"""Curves of a training as one drawing: a panel for each kind of metric, with the interruptions marked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cortex.evaluation.page_plots import WIDTH
from cortex.evaluation.record import label
from cortex.evaluation.svg import THEME, series, themed, to_svg
from cortex.report.run_attempts import Break
from cortex.tracking.curve import VALIDATION, Point

COLUMNS = 2

MOST_POINTS = 300
"""Points of a line at most: a drawing is this many pixels wide, and beyond that each point is a mean of several."""

_KINDS: dict[str, tuple[str, ...]] = {
    "Loss": ("loss", "answer_loss"),
    "Reward": ("reward",),
    "Parts of the reward": ("reward/",),
    "Preferences": ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies"),
    "Readable answers": ("valid",),
    "Length of answers, in tokens": ("completions/mean_length", "completions/max_length"),
    "Entropy": ("entropy",),
    "Divergence from the start": ("kl",),
    "Norm of the gradient": ("grad_norm",),
    "Learning rate": ("learning_rate",),
}
"""Metrics of each panel; a name that ends in `/` stands for all below it."""

FEW_LINES = 2
"""Lines of a panel whose legend still finds room inside of it."""

Series = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Steps and values of a metric (N each)."""


@dataclass(frozen=True)
class Panel:
    title: str
    lines: Mapping[str, Series]
    """By the metric's name; of a validation, with its prefix."""


def panels(points: Sequence[Point]) -> list[Panel]:
    """The panels of a training that have something to show."""
    metrics = _metrics(points)
    found: list[Panel] = []
    for title, wanted in _KINDS.items():
        lines = {name: values for name, values in metrics.items() if _is_of(name.removeprefix(VALIDATION), wanted)}
        if lines:
            found.append(Panel(title, lines))
    return found


def draw_panels(stage: str, shown: Sequence[Panel], breaks: Sequence[Break]) -> str:
    """The panels as one inline SVG. A dashed line stands where a training was interrupted."""
    with themed():
        columns = min(COLUMNS, len(shown))
        rows = -(-len(shown) // columns)
        figure = Figure(layout="constrained", figsize=(WIDTH * columns / COLUMNS, 2.3 * rows))
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid[len(shown) :]:
            axes.set_visible(False)
        for axes, panel in zip(grid, shown, strict=False):
            _draw(axes, panel, breaks)
        return to_svg(figure, f"Curves of {stage}: {', '.join(panel.title.lower() for panel in shown)}")


def _draw(axes: Axes, panel: Panel, breaks: Sequence[Break]) -> None:
    # A validation has the colour of what it validates.
    colours = {name: index for index, name in enumerate(dict.fromkeys(map(_validated, panel.lines)))}
    for name, measured in panel.lines.items():
        steps, values = thinned(*measured)
        is_validation = name.startswith(VALIDATION)
        style = {"linestyle": (0, (3, 1.5)), "marker": "o", "markersize": 4} if is_validation else {}
        axes.plot(steps, values, color=series(colours[_validated(name)] + 1), label=_shown(name), **style)
    for each in breaks:
        axes.axvline(each.last_step, color=THEME["muted"], linewidth=1, linestyle=(0, (4, 3)))
    axes.set(title=panel.title, xlabel="step")
    if len(panel.lines) > FEW_LINES:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=2, fontsize=7)
    elif len(panel.lines) > 1:
        axes.legend(loc="best", fontsize=8)
    axes.margins(x=0.01)


def _validated(name: str) -> str:
    return name.removeprefix(VALIDATION)


def _shown(name: str) -> str:
    return label(name.replace("/", " "))


def thinned(steps: NDArray[np.float64], values: NDArray[np.float64]) -> Series:
    """The means of equally many neighbours each, so that no more than `MOST_POINTS` are left."""
    size = -(-len(steps) // MOST_POINTS)
    if size <= 1:
        return steps, values
    starts = np.arange(0, len(steps), size)
    counts = np.diff(starts, append=len(steps))
    return np.add.reduceat(steps, starts) / counts, np.add.reduceat(values, starts) / counts


def _metrics(points: Sequence[Point]) -> dict[str, Series]:
    """Every metric with its finite values; the last value of a step counts."""
    found: dict[str, dict[int, float]] = {}
    for point in points:
        for name, value in point.values.items():
            if np.isfinite(value):
                found.setdefault(name, {})[point.step] = value
    return {
        name: (np.array(list(values), dtype=np.float64), np.array(list(values.values())))
        for name, values in found.items()
    }


def _is_of(name: str, wanted: Sequence[str]) -> bool:
    return any(name == one or (one.endswith("/") and name.startswith(one)) for one in wanted)
