"""A forecast for people: in words, on a chart of closes, and beside how such forecasts fared out of sample."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import polars as pl

from cortex.domains.endpoint import Reading
from cortex.domains.markets.bars import DAY, FIXING, Bar
from cortex.domains.markets.forecasts import ROSE, ROSE_OF_ALL
from cortex.domains.markets.spans import Span
from cortex.domains.view import Ahead, Chart, Fact, FormField, Judged, Point, Share, too_few
from cortex.evaluation.record import Group

BARS = 90
"""Bars on the chart before the decision."""

NEAR = 0.02
"""A probability this far outside of all that a group stated is still a like one."""


def market_form(bar: Bar, limits: Mapping[str, tuple[str, str]], hint: str) -> tuple[FormField, ...]:
    """A symbol and one of its bars: by its date, or by its closing time where a day may have several."""
    daily = bar in {DAY, FIXING}
    label = "Date" if daily else f"Close of the {bar.name} (UTC)"
    if daily:
        limits = {symbol: (first[:10], last[:10]) for symbol, (first, last) in limits.items()}
    kind = "date" if daily else "time"
    when = FormField(name="date", label=label, kind=kind, limits=limits, limited_by="symbol", hint=hint)
    if not limits:
        return FormField(name="symbol", label="Symbol", kind="line"), when
    return FormField(name="symbol", label="Symbol", kind="choice", choices=tuple(limits)), when


def forecast_facts(answer: Mapping[str, Any], horizon: str) -> tuple[Fact, ...]:
    """A forecast in words."""
    low, high = answer["interval_pct"]
    return (
        Fact(label="Probability of a rise", value=f"{answer['p_up']:.0%}"),
        Fact(label="Expected return", value=f"{answer['return_pct']:+.2f}%"),
        Fact(label="90% interval of the return", value=f"{low:+.2f}% to {high:+.2f}%"),
        Fact(label="Horizon", value=horizon),
    )


def price_chart(bars: pl.DataFrame, symbol: str, horizon: Span, bar: Bar, read: Reading | None) -> Chart:
    """The last closes up to a decision, and the stated interval at the end of the horizon.

    `bars` are one symbol's, with the columns `time`, `bar` and `close`, the decision's last.
    """
    shown = bars.tail(BARS)
    points = tuple(
        Point(time=time, label=name, value=close) for time, name, close in shown["time", "bar", "close"].iter_rows()
    )
    words = horizon.words(bar)
    if read is None:
        return Chart(title=f"Closes of {symbol}", values="Close", points=points)
    answer: Mapping[str, Any] = read.answer
    close, pct = points[-1].value, (answer["interval_pct"][0], answer["return_pct"], answer["interval_pct"][1])
    low, middle, high = (close * max(0.0, 1 + change / 100) for change in pct)
    time = points[-1].time + _duration(horizon, shown["time"])
    ahead = Ahead(time=time, label=f"after {words}", low=low, middle=middle, high=high)
    title = f"Closes of {symbol}, and the 90% interval after {words}"
    return Chart(title=title, values="Close", points=points, ahead=ahead)


def _duration(horizon: Span, times: pl.Series) -> dt.timedelta:
    """The horizon in time; of bars, by their usual distance."""
    usual = times.diff().median()
    each = usual if horizon.unit == "bars" and isinstance(usual, dt.timedelta) else dt.timedelta(days=1)
    return each * horizon.count


def forecast_shares(judged: Judged, p_up: float | None) -> tuple[Share, ...]:
    """Shares of the test forecasts that came true: of those of a like probability, and of all."""
    groups = judged.evaluated.groups
    shares = [] if p_up is None else [_like_share(judged, groups.get(ROSE, []), p_up)]
    shares += [_group_share(judged, "Rose, of all test forecasts", group) for group in groups.get(ROSE_OF_ALL, [])]
    return (
        *shares,
        judged.share("accuracy", "Went in the likelier direction, of all test forecasts"),
        judged.share("coverage", "Fell inside the stated 90% interval, of all test forecasts"),
    )


def _like_share(judged: Judged, groups: list[Group], p_up: float) -> Share:
    if not groups:
        return Share(
            title="Rose, of test forecasts of a like probability",
            reason="none is recorded: this model was judged before the kit kept that; release it anew",
        )
    group = next((group for group in groups if p_up <= group.up_to), groups[-1])
    stated = f"{group.low:.0%}" if f"{group.low:.0%}" == f"{group.high:.0%}" else f"{group.low:.0%} to {group.high:.0%}"
    if not group.low - NEAR <= p_up <= group.high + NEAR:
        reason = f"the model stated no probability near {p_up:.0%} in the test; the nearest group is {stated}"
        return Share(title="Rose, of test forecasts of a like probability", reason=reason)
    return _group_share(judged, f"Rose, of test forecasts that stated {stated}", group)


def _group_share(judged: Judged, title: str, group: Group) -> Share:
    reason = "" if group.share is not None else too_few(
        group.examples, group.clusters, judged.evaluation.words.clusters
    )  # fmt: skip
    return Share(title=title, share=group.share, interval=group.interval, examples=group.examples, reason=reason)


ADVICE = "This is no investment advice: scores leave out fees, spreads and the size of a position."


def training_remarks(decided: dt.datetime, splits: Mapping[str, Any]) -> tuple[str, ...]:
    """The place of a decision's time in the data that the model was trained and judged on, by `dataset.json`."""
    last = {name: dt.date.fromisoformat(str(split["last"])) for name, split in splits.items() if split.get("last")}
    if not {"train", "test"} <= set(last):
        return ()
    day = decided.date()
    if day <= last["train"]:
        return (
            f"The model was trained on data up to {last['train']}. It may know how this came out: this is no test.",
        )
    if day <= last.get("validation", last["train"]):
        return ("This date was used for choices during training: it is no test of the model.",)
    if day <= last["test"]:
        return ("This date lies in the test period, from which the figures below are.",)
    return (f"This date lies after all data that the model was trained or judged on, which end on {last['test']}.",)
