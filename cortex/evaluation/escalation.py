"""The judge of escalation: a small model answers, and a large one where the small one is uncertain, out of sample.

The calibration and the threshold come from one part of the questions, and losses and prices from the other. A coin that
asks the large model as often shows what the uncertainty is worth: it knows nothing of the question.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cortex.errors import DataError
from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.confidence import Interval, Record
from cortex.evaluation.grades import Bools, Floats
from cortex.evaluation.verdict import MINIMUM_BLOCKS, MINIMUM_CLUSTERS

SHARES = tuple(step / 20 for step in range(21))
"""Shares of the fitting part's questions for which thresholds are tried."""

Uncertainty = Callable[[Bools], Floats]
"""Takes the questions to calibrate by (N); returns the uncertainty of the small model's answers (N), NaN if unknown."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Two models on the same N questions."""

    small: Floats
    """Losses of the small model (N)."""
    large: Floats
    held_back: Bools
    """Answers of the small model that are not given: the large one is asked for each (N)."""
    prices: tuple[Floats, Floats] | None
    """Dollars of the small and the large model's answers (N each); None where no price is known."""


class Priced(Record):
    """A way to answer, on the judging part."""

    name: str
    share: float
    """Share of the questions that the large model was asked."""
    loss: float
    interval: Interval
    dollars: float | None
    """Mean price of an answer."""


class Threshold(Priced):
    """Escalation above one threshold, beside a coin."""

    above: float
    coin_share: float
    """The coin asks the large model for so many: as many as escalation, or where prices are known, as many as cost as
    much as escalation, which asks the small model first."""
    coin_loss: float
    coin_dollars: float | None
    gain: float
    """The coin's loss less escalation's."""
    gain_interval: Interval


class RouteJudgement(Record):
    """The judgement of escalation from one model to another."""

    fitted: int
    """Questions by which calibration and threshold were chosen."""
    judged: int
    clusters: int
    """Clusters of the judging part."""
    split: str
    """The division of the questions, in words."""
    alone: list[Priced]
    """Each model without the other."""
    large_gain: float
    """The small model's loss less the large one's."""
    large_interval: Interval
    thresholds: list[Threshold]
    chosen: float
    """The threshold whose gain over the coin was largest on the fitting part."""
    gains: bool
    verdict: str

    @property
    def best(self) -> Threshold:
        """The chosen threshold's figures."""
        return next(each for each in self.thresholds if each.above == self.chosen)


def judge_escalation(
    pair: Pair, uncertainty: Uncertainty, clusters: Clusters, *, resamples: int = 1000, seed: int = 0
) -> RouteJudgement:
    """Judge escalation on N questions, in the order of `clusters`.

    Raises:
        DataError: there are too few clusters for two parts.
    """
    fit, judged, split = divide(clusters)
    unsure = uncertainty(fit)
    thresholds = _candidates(unsure[fit & ~pair.held_back])
    gains = [float(_advantage(pair, _asked(pair, unsure, above), fit).mean()) for above in thresholds]
    chosen = thresholds[int(np.argmax(gains))]
    part = clusters.part(judged)
    drawn = Resamples.draw(part, resamples=resamples, seed=seed)
    table = [_threshold(pair, _asked(pair, unsure, above), judged, above, drawn) for above in thresholds]
    better = (pair.small - pair.large)[judged]
    large_gain = float(better.mean())
    large_interval = drawn.interval(large_gain, drawn.means(better))
    best = next(each for each in table if each.above == chosen)
    needed = max(MINIMUM_CLUSTERS, MINIMUM_BLOCKS * drawn.block_length)
    gains_now = len(part) >= needed and best.gain_interval.low > 0
    return RouteJudgement(
        fitted=int(fit.sum()),
        judged=int(judged.sum()),
        clusters=len(part),
        split=split,
        alone=[_alone(pair, judged, drawn, name, share) for name, share in (("small", 0.0), ("large", 1.0))],
        large_gain=large_gain,
        large_interval=large_interval,
        thresholds=table,
        chosen=chosen,
        gains=gains_now,
        verdict=_verdict(best, large_gain, large_interval, len(part), needed),
    )


def divide(clusters: Clusters) -> tuple[Bools, Bools, str]:
    """The questions to fit by and those to judge by (N each), and the division in words.

    By time, the first half and the second, without the clusters between whose outcomes reach into the second; without
    times, every other cluster.

    Raises:
        DataError: a part would have fewer than two clusters.
    """
    count = len(clusters)
    if clusters.times:
        middle = count // 2
        fit, judged = clusters.of < middle - (clusters.span - 1), clusters.of >= middle
        split = f"the test period by time, judged from {clusters.times[middle]:%Y-%m-%d} on"
    else:
        fit, judged = clusters.of % 2 == 0, clusters.of % 2 == 1
        split = "every other cluster"
    if min(len(np.unique(clusters.of[part])) for part in (fit, judged)) < 2:
        raise DataError(f"{count} clusters of questions are too few for two parts: evaluate on more examples")
    return fit, judged, split


def _candidates(unsure: Floats) -> list[float]:
    """Thresholds above which such shares of the answers lie; without uncertainties 1 alone, above which none does."""
    known = unsure[~np.isnan(unsure)]
    if not len(known):
        return [1.0]
    drawn = np.quantile(known, [1 - share for share in SHARES[:-1]], method="lower")
    return sorted({*drawn.tolist(), 0.0}, reverse=True)


def _asked(pair: Pair, unsure: Floats, above: float) -> Bools:
    """The questions that the large model is asked; unknown uncertainties are above no threshold."""
    return pair.held_back | (unsure > above)


def _routed(pair: Pair, asked: Bools) -> Floats:
    return np.where(asked, pair.large, pair.small)


def _dollars(pair: Pair, asked: Bools, part: Bools) -> float | None:
    """Mean price of an answer by escalation, which asks the small model first."""
    if pair.prices is None:
        return None
    small, large = pair.prices
    return float((small + asked * large)[part].mean())


def _coin_share(pair: Pair, asked: Bools, part: Bools) -> float:
    share, spent = float(asked[part].mean()), _dollars(pair, asked, part)
    if pair.prices is None or spent is None:
        return share
    small, large = (float(price[part].mean()) for price in pair.prices)
    return share if large <= small else min(1.0, (spent - small) / (large - small))


def _advantage(pair: Pair, asked: Bools, part: Bools) -> Floats:
    """The coin's expected loss less escalation's, of each question of a part."""
    share = _coin_share(pair, asked, part)
    return ((1 - share) * pair.small + share * pair.large - _routed(pair, asked))[part]


def _threshold(pair: Pair, asked: Bools, part: Bools, above: float, drawn: Resamples) -> Threshold:
    loss, advantage, coin_share = (
        _routed(pair, asked)[part],
        _advantage(pair, asked, part),
        _coin_share(pair, asked, part),
    )
    mean, gain = float(loss.mean()), float(advantage.mean())
    coin_dollars = None
    if pair.prices is not None:
        small, large = (float(price[part].mean()) for price in pair.prices)
        coin_dollars = (1 - coin_share) * small + coin_share * large
    return Threshold(
        name="escalation",
        share=float(asked[part].mean()),
        loss=mean,
        interval=drawn.interval(mean, drawn.means(loss), (0, 1)),
        dollars=_dollars(pair, asked, part),
        above=above,
        coin_share=coin_share,
        coin_loss=mean + gain,
        coin_dollars=coin_dollars,
        gain=gain,
        gain_interval=drawn.interval(gain, drawn.means(advantage)),
    )


def _alone(pair: Pair, part: Bools, drawn: Resamples, name: str, share: float) -> Priced:
    loss = (pair.large if share else pair.small)[part]
    mean = float(loss.mean())
    dollars = None if pair.prices is None else float(pair.prices[int(share)][part].mean())
    interval = drawn.interval(mean, drawn.means(loss), (0, 1))
    return Priced(name=name, share=share, loss=mean, interval=interval, dollars=dollars)


def _verdict(best: Threshold, large_gain: float, large: Interval, clusters: int, needed: int) -> str:
    """The judgement in words. A gain that the interval does not show is not claimed."""
    words = (
        f"above {best.above:.3f} it asks the large model for {best.share:.0%} of the questions, with a loss of "
        f"{best.loss:.4f} against {best.coin_loss:.4f} of the coin (gain {best.gain:+.4f}, 95% interval "
        f"{best.gain_interval.low:+.4f} to {best.gain_interval.high:+.4f})."
    )
    if clusters < needed:
        return f"Too few to judge by: {clusters} clusters, and {needed} are needed. Escalation {words}"
    if best.gain_interval.low > 0:
        return f"Escalation gains: {words}"
    reason = "the uncertainty does not tell where the large model is better than by chance"
    if large.low <= 0:
        reason = f"the large model is not shown to be better than the small one ({large_gain:+.4f} less loss)"
    return f"Escalation gains nothing: {reason}; {words}"
