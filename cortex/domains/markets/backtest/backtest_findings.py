"""The findings of a backtest in sentences, doubts first."""

from collections.abc import Iterator

import numpy as np

from cortex.domains.markets.backtest.paper_trading import BUY_AND_HOLD, ROUTED, Backtest
from cortex.domains.markets.backtest.performance import Figure
from cortex.domains.markets.backtest.trading import BPS
from cortex.domains.markets.measures import SCALE
from cortex.evaluation.bootstrap import measure_interval
from cortex.evaluation.record import label
from cortex.evaluation.study import Study
from cortex.evaluation.verdict import MINIMUM_BLOCKS, MINIMUM_CLUSTERS, MINIMUM_VALID_SHARE

DEFLATED = 0.95
"""Probability of a true Sharpe ratio above that of luck from which a backtest counts as evidence."""


def findings(backtest: Backtest, study: Study) -> list[str]:
    """Sentences for the page, the most important one first."""
    needed = max(MINIMUM_CLUSTERS, MINIMUM_BLOCKS * study.resamples.block_length)
    return [
        *_doubts(study, needed),
        _against_cash(backtest, can_tell=len(study.clusters) >= needed),
        _against_holding(backtest),
        _deflated(backtest),
        _overfitting(backtest),
        *_routing(backtest),
        _conditions(backtest),
        _lag(backtest),
        _capacity(backtest),
    ]


def _doubts(study: Study, needed: int) -> Iterator[str]:
    """Reasons to believe nothing of what follows."""
    grades, name = study.contenders[study.judged], label(study.judged)
    interval = measure_interval(study.resamples, grades, SCALE.skill_measure)
    if len(study.clusters) < needed:
        yield (
            f"The test has {len(study.clusters)} decision dates, and {needed} are needed to judge by: no gain or loss "
            "below can be told from luck."
        )
    if interval.low <= 0 or grades.valid.mean() < MINIMUM_VALID_SHARE:
        yield (
            f"No skill of {name} is shown on this test: its Brier skill is {grades.figure(SCALE.skill_measure):+z.3f}, "
            f"95% interval {interval.low:+z.3f} to {interval.high:+z.3f}. So whatever it earned on paper is no "
            "evidence that acting on it pays."
        )


def _against_cash(backtest: Backtest, *, can_tell: bool) -> str:
    own, name = backtest.own, label(backtest.judged)
    excess = own.performance.excess
    said = f"{_yearly(excess)} over cash, after costs of {own.paid:.1%} a year"
    if not own.traded:
        return f"On paper, {name} took no position: no edge that it was known to have would have paid for the trade."
    if can_tell and excess.interval.low > 0:
        return f"On paper, {name} earned more than cash: {said}."
    if can_tell and excess.interval.high < 0:
        return f"On paper, {name} lost against cash: {said}."
    return f"On paper, {name} is not shown to earn more than cash: {said}."


def _against_holding(backtest: Backtest) -> str:
    own, held = backtest.over_equal_weight(backtest.own), backtest.holdings[BUY_AND_HOLD].performance
    verb = "beats" if own.interval.low > 0 else "does worse than" if own.interval.high < 0 else "is not told apart from"
    return (
        f"It {verb} holding every asset in equal weights ({_yearly(own)}, paired). Buying and holding made "
        f"{_yearly(held.excess)} over cash."
    )


def _deflated(backtest: Backtest) -> str:
    if not backtest.own.traded:
        return "Without a position it has no Sharpe ratio."
    found, root = backtest.deflated[backtest.judged], np.sqrt(backtest.grid.bets_per_year)
    if found.tries > 1:
        luck = f"The best of {found.tries} tries without skill would reach {found.hurdle * root:.2f}; that"
    else:
        luck = "That"
    evidence = "" if found.probability >= DEFLATED else f", below the {DEFLATED:.0%} that would be evidence"
    record = ""
    if found.needed is not None:
        years = found.needed / backtest.grid.bets_per_year
        record = (
            f" To show a Sharpe ratio above 0, a single try would need {years:,.1f} years; the test has "
            f"{backtest.grid.years:,.1f}."
        )
    return (
        f"Its Sharpe ratio is {found.sharpe * root:z.2f} a year. {luck} the true one is "
        f"{'higher' if found.tries > 1 else 'above 0'} has a probability of {found.probability:.1%} (deflated Sharpe "
        f"ratio){evidence}.{record}"
    )


def _overfitting(backtest: Backtest) -> str:
    if backtest.overfitting is None:
        return "Too few contenders or dates to tell the probability of backtest overfitting."
    return (
        "The forecaster that is best in one half of the dates is among the worse half in the other with a probability "
        f"of {backtest.overfitting:.0%} (probability of backtest overfitting; 50% is chance)."
    )


def _routing(backtest: Backtest) -> Iterator[str]:
    if not backtest.routed:
        return
    routed = backtest.routed[ROUTED]
    apart = backtest.over_equal_weight(routed)
    verb = (
        "beats" if apart.interval.low > 0 else "does worse than" if apart.interval.high < 0 else "is not shown to beat"
    )
    open_ = f" At {backtest.unsolved} dates no better routing was found, and it stayed." if backtest.unsolved else ""
    yield (
        f"Capital routed by its forecasts made {_yearly(routed.performance.excess)} over cash and {verb} equal weight "
        f"({_yearly(apart)}, paired); {backtest.best_asset}, the best single asset of the training period, made "
        f"{_yearly(backtest.routed[backtest.best_asset].performance.excess)}.{open_}"
    )


def _conditions(backtest: Backtest) -> str:
    terms, span = backtest.terms, backtest.grid.span
    parts = (
        ""
        if span == 1
        else f" An outcome spans {span} dates, so each date's bets have 1/{span} of the capital, and ratios count "
        f"{len(backtest.grid.at) / span:.0f} bets that do not overlap."
    )
    missing = 1 - backtest.grid.quoted.mean()
    holes = (
        f" {missing:.0%} of assets and dates have no example: a forecaster holds nothing there, and pays for leaving."
        if missing > 0.005
        else ""
    )
    return (
        f"Each trade costs {terms.cost / BPS:g} basis points of its amount. Probabilities are calibrated by earlier "
        "outcomes of the test alone, each from the time on at which it was known; until ten dates' are, nothing is "
        f"held. {'Falls are bet on, too.' if terms.short else 'Falls are not bet on.'}{parts}{holes}"
    )


def _lag(backtest: Backtest) -> str:
    lag, at_once = backtest.terms.lag, _yearly(backtest.at_once.performance.excess)
    if lag == 0:
        return "Positions are taken at the very close that decides them, which nobody can: this is an upper bound."
    count = "next decision" if lag == 1 else f"decision {lag} later"
    return (
        f"A position is taken at the close of the {count} of its symbol. Where decisions are further apart than one "
        "bar, that is later than the next bar, whose close the examples do not hold. At its own close, at which "
        f"nobody can trade, it would have made {at_once}."
    )


def _capacity(backtest: Backtest) -> str:
    """The size at which impact takes the whole gain, by the square-root law, since the examples hold no volumes."""
    own, grid = backtest.own, backtest.grid
    reason = "The examples hold no volumes, so no impact of the trades on prices is counted."
    gain = own.performance.excess.value
    if gain <= 0 or own.traded <= 0:
        return f"{reason} With no gain there is nothing for it to take."
    room = gain / own.traded
    day = float(grid.outcome.std()) / np.sqrt(max(grid.bet_years * 365.25, 1e-9))
    return (
        f"{reason} The gain would be gone with {room / BPS:,.1f} basis points more of costs. By the square-root law "
        "(impact is daily volatility times the root of the share of the daily volume), that is where a trade is "
        f"{min((room / day) ** 2, 1.0):.2%} of a day's volume."
    )


def _yearly(figure: Figure) -> str:
    return f"{figure.value:+z.1%} a year, 95% interval {figure.interval.low:+z.1%} to {figure.interval.high:+z.1%}"
