"""Plot of an estimate: the distribution of cost and of finishing time over the replays."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cortex.evaluation.svg import THEME, series, standalone, themed, to_svg
from cortex.fleet.estimate.result import RunEstimate


def plot(found: RunEstimate) -> str:
    """An SVG with two cumulative distributions for each policy: of the dollars, and of the hours to the end."""
    with themed():
        figure = Figure(layout="constrained", figsize=(10, 3.4))
        costs, times = figure.subplots(1, 2, sharey=True)
        for index, policy in enumerate(found.policies):
            ended = np.isfinite(policy.outcomes.seconds)
            label = policy.policy if ended.all() else f"{policy.policy} ({1 - ended.mean():.0%} given up)"
            for axes, values in ((costs, policy.outcomes.dollars), (times, policy.outcomes.seconds / 3600)):
                axes.step(*_shares(values[ended], len(values)), where="post", color=series(index), label=label)
        times.axvline(found.job.deadline / 3600, color=THEME["muted"], linestyle=":", linewidth=1)
        times.annotate(
            "deadline", (found.job.deadline / 3600, 0.02), xytext=(3, 0), textcoords="offset points", fontsize=9
        )
        costs.set(title=f"{found.profile}: dollars", xlabel="dollars", ylabel="share of replays", ylim=(0, 1.02))
        times.set(title="hours from start to end", xlabel="hours")
        costs.legend(loc="lower right")
        return standalone(to_svg(figure, f"Cost and finishing time of {found.profile} under each policy"))


def _shares(values: NDArray[np.float64], of: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps of the cumulative distribution: at each value, the share of `of` values that are at most that."""
    ordered = np.sort(values)
    return np.concatenate([ordered[:1], ordered]), np.concatenate([[0.0], np.arange(1, len(ordered) + 1) / of])
