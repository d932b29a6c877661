"""Plot of a bench: waits and throughput over the load, a line for each endpoint."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cortex.benching.bench_figures import Figures
from cortex.benching.bench_sweep import Measured
from cortex.benching.slo import Objective
from cortex.evaluation.svg import THEME, series, standalone, themed, to_svg

_Value = Callable[[Figures], float | None]


def plot_bench(measured: Sequence[Measured], objective: Objective | None) -> str:
    """An SVG with the time to the first token and the time between tokens, median and 95th percentile, and tokens a
    second."""
    labels = list(dict.fromkeys(one.level.label for one in measured))
    unit = "requests at a time" if measured[0].level.concurrency else "arrivals a second"
    with themed():
        figure = Figure(layout="constrained", figsize=(12, 3.6))
        first, between, speed = figure.subplots(1, 3)
        _waits(first, measured, labels, lambda one: one.ttft.median, lambda one: one.ttft.p95)
        _waits(between, measured, labels, lambda one: one.itl.median, lambda one: one.itl.p95)
        _line(speed, measured, labels, lambda one: one.output_per_second)
        bounds = ((first, objective and objective.ttft), (between, objective and objective.itl))
        for axes, bound in bounds:
            if bound:
                axes.axhline(bound * 1000, color=THEME["muted"], linestyle=":", linewidth=1)
        first.set(title="first token, ms (dashed: p95)")
        between.set(title="between tokens, ms (dashed: p95)")
        speed.set(title="output tokens a second")
        for axes in (first, between, speed):
            axes.set(xlabel=unit, ylim=(0, None))
            axes.set_xticks(range(len(labels)), labels)
        speed.legend(loc="best")
        return standalone(to_svg(figure, "Waits and throughput of each endpoint over the load"))


def _waits(axes: Axes, measured: Sequence[Measured], labels: Sequence[str], median: _Value, p95: _Value) -> None:
    _line(axes, measured, labels, lambda one: _ms(median(one)))
    _line(axes, measured, labels, lambda one: _ms(p95(one)), linestyle="--")


def _line(axes: Axes, measured: Sequence[Measured], labels: Sequence[str], value: _Value, linestyle: str = "-") -> None:
    """A line for each endpoint; levels without the figure are left out of it."""
    for index, endpoint in enumerate(dict.fromkeys(one.target.label for one in measured)):
        own = [one for one in measured if one.target.label == endpoint]
        points = [(labels.index(one.level.label), found) for one in own if (found := value(one.figures)) is not None]
        axes.plot(
            [place for place, _ in points],
            [found for _, found in points],
            linestyle=linestyle,
            marker="o",
            markersize=3,
            color=series(index),
            label=endpoint,
        )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
