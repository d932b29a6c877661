"""`cortex backtest`: acting on a run's judged forecasts, on paper, on other terms than its evaluation's."""

from typing import TYPE_CHECKING, Annotated

import typer

from cortex.errors import UsageError
from cortex.text import json_text
from cortex.verbs.options import AsJson, Run

if TYPE_CHECKING:
    from cortex.evaluation.chapter import Cell, Chapter

app = typer.Typer()

_Bps = typer.Option(min=0, max=1000, help="Basis points of a trade's amount. Default: the profile's.")


@app.command("backtest")
def backtest_command(
    run: Run,
    domain: Annotated[str | None, typer.Option(help="The domain, where the run has several.")] = None,
    fee_bps: Annotated[float | None, _Bps] = None,
    slippage_bps: Annotated[float | None, _Bps] = None,
    half_spread_bps: Annotated[float | None, _Bps] = None,
    lag: Annotated[
        int | None,
        typer.Option(min=0, max=100, help="Decisions after which a position is taken. Default: the profile's."),
    ] = None,
    cap: Annotated[
        float | None, typer.Option(min=0.01, max=1, help="Largest share of routed capital in one asset.")
    ] = None,
    short: Annotated[bool | None, typer.Option("--short/--long-only", help="Bet on falls, too.")] = None,
    tries: Annotated[
        int, typer.Option(min=1, help="Models and settings that were tried on this test, if more than are in the run.")
    ] = 1,
    as_json: AsJson = False,
) -> None:
    """Act on a run's forecasts on paper: returns after costs, with intervals, deflated for the number of tries.

    Nothing is traded, and it is no advice.
    """
    from cortex.artifacts.open_store import open_store
    from cortex.runs.backtest_inputs import read_study
    from cortex.settings import Settings

    given: dict[str, float | bool | None] = {
        "fee_bps": fee_bps,
        "slippage_bps": slippage_bps,
        "half_spread_bps": half_spread_bps,
        "lag": lag,
        "cap": cap,
        "short": short,
    }
    settings = Settings()
    studied = read_study(open_store(settings.bucket_url), run, domain, settings.home / "cache")
    terms = {name: value for name, value in given.items() if value is not None}
    chapter = studied.judged.domain.backtest(studied.study, studied.train, studied.test, terms, tries)
    if chapter is None:
        raise UsageError(f"domain {studied.judged.name} of run {run} has no forecasts to act on")
    if as_json:
        print(json_text({"run": run, "domain": studied.judged.name, **chapter.model_dump(mode="json")}))
    else:
        _print(chapter)


def _print(chapter: "Chapter") -> None:
    from rich.table import Table

    from cortex.console import Console
    from cortex.evaluation.record import label

    console = Console()
    if not console.is_terminal:  # output to a program or a file is not cut to a terminal's 80 columns
        console = Console(width=max(console.width, 200))
    for sentence in chapter.sentences:
        console.print(sentence, soft_wrap=True)
    for each in chapter.tables:
        rows = Table(each.title, *(heading.title for heading in each.headings), box=None)
        for row in each.rows:
            cells = zip(row.cells, each.headings, strict=True)
            rows.add_row(label(row.name), *(_words(cell, heading.form) for cell, heading in cells))
        console.print()
        console.print(rows)


def _words(cell: "Cell", form: str) -> str:
    if cell.value is None:
        return cell.text
    if cell.interval is None:
        return f"{cell.value:{form}}"
    return f"{cell.value:{form}}\n({cell.interval.low:{form}} to {cell.interval.high:{form}})"
