"""The chapter on acting on the forecasts, on paper."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from cortex.domains.markets.backtest.backtest_findings import findings
from cortex.domains.markets.backtest.paper_trading import AT_ONCE, CASH, Backtest, Result, run_backtest
from cortex.domains.markets.backtest.performance import Figure, equity
from cortex.domains.markets.backtest.trading import Terms, find_terms
from cortex.domains.markets.config import DataConfig, EcbConfig
from cortex.evaluation.chapter import Cell, Chapter, Chart, Heading, Line, Row, Table
from cortex.evaluation.study import Study

NAME, TITLE = "backtest", "Backtest, on paper"

_HEADINGS = [
    Heading(title="Over cash, a year", form="+z.1%"),
    Heading(title="Growth a year", form="+z.1%"),
    Heading(title="Sharpe", form="+z.2f"),
    Heading(title="Sortino", form="+z.2f"),
    Heading(title="Max drawdown", form=".1%"),
    Heading(title="Calmar", form="+z.2f"),
    Heading(title="Turnover a year", form=".1f"),
    Heading(title="Costs a year", form=".2%"),
    Heading(title="Deflated Sharpe", form=".1%"),
]

_NOTE = (
    "After costs, with 95% intervals of a block bootstrap over decision dates. Turnover is bought and sold, in units "
    "of the capital. The deflated Sharpe ratio is the probability that the true ratio exceeds the best that so many "
    "tries without skill would reach. On paper: no advice, and no promise."
)


def backtest_analysis(config: DataConfig, study: Study, train: pl.DataFrame, test: pl.DataFrame) -> Chapter:
    """The chapter of an evaluation, on the terms that the profile states."""
    return backtest_chapter(study, train, test, terms_of(config))


def terms_of(config: DataConfig) -> Terms:
    """The terms that a profile states, or those that are usual for its source."""
    return find_terms(config.trading, currencies=isinstance(config.source, EcbConfig))


def backtest_chapter(study: Study, train: pl.DataFrame, test: pl.DataFrame, terms: Terms, *, tries: int = 1) -> Chapter:
    """The backtest of every contender of a study, in words, tables and a chart. Arguments as of `run_backtest`."""
    backtest = run_backtest(study, train, test, terms, tries=tries)
    tables = [_table("Acting on forecasts", _NOTE, {**backtest.forecasters, **backtest.holdings}, backtest)]
    further = {**backtest.routed, AT_ONCE: backtest.at_once}
    note = (
        "Routed capital is spread by expected return, risk and the cost of moving it, among all assets and cash. "
        "Without the lag, trades happen at the very close that decides them, which nobody can."
    )
    tables.append(_table("Other ways to act on the judged model", note, further, backtest))
    return Chapter(
        name=NAME, title=TITLE, sentences=findings(backtest, study), tables=tables, charts=[_chart(backtest)]
    )


def _table(title: str, note: str, results: Mapping[str, Result], backtest: Backtest) -> Table:
    rows = [
        Row(name=name, cells=_cells(name, result, backtest), is_judged=name == backtest.judged)
        for name, result in results.items()
    ]
    return Table(title=title, note=note, headings=_HEADINGS, rows=rows)


def _cells(name: str, result: Result, backtest: Backtest) -> list[Cell]:
    own, deflated = result.performance, backtest.deflated.get(name)
    figures = (own.excess, own.growth, own.sharpe, own.sortino, own.drawdown, own.calmar)
    still = not result.traded
    return [
        *(_cell(figure, is_known=not still or figure in (own.excess, own.growth)) for figure in figures),
        Cell(value=result.traded),
        Cell(value=result.paid),
        Cell(value=deflated.probability) if deflated else Cell(),
    ]


def _cell(figure: Figure, *, is_known: bool) -> Cell:
    return Cell(value=figure.value, interval=figure.interval) if is_known else Cell(text="none")


def _chart(backtest: Backtest) -> Chart:
    """The capital of the judged model and of the holdings, at each decision date."""
    seconds = (backtest.grid.at / 1e6).tolist()
    shown = {
        backtest.judged: backtest.own,
        **{k: v for k, v in backtest.holdings.items() if k != CASH},
        **backtest.routed,
    }
    lines = [
        Line(name=name, x=seconds, y=np.round(equity(result.net, backtest.grid.span), 6).tolist())
        for name, result in shown.items()
    ]
    return Chart(
        title="Capital, on paper",
        note="The capital after costs of the bets of each decision date, from 1 at the start.",
        x_title="",
        y_title="capital",
        y_form=".2f",
        x_is_time=True,
        level=1.0,
        lines=lines,
    )
