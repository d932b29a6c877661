"""`cortex route`: the judge of routes between models."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortex.errors import UsageError
from cortex.text import json_text
from cortex.verbs.options import AsJson

if TYPE_CHECKING:
    from cortex.evaluation.escalation import RouteJudgement
    from cortex.runs.escalation_inputs import JudgedRun

app = typer.Typer(help="Judge the routes between models.", no_args_is_help=True)


@app.callback()
def route() -> None:
    """Judge the routes between models."""


@app.command()
def judge(
    small: Annotated[str, typer.Argument(metavar="RUN_SMALL", help="The run of the model that is asked first.")],
    large: Annotated[str, typer.Argument(metavar="RUN_LARGE", help="The run of the model that it escalates to.")],
    domain: Annotated[str | None, typer.Option(help="The domain, where the runs have several.")] = None,
    price_small: Annotated[
        float | None, typer.Option(min=0, help="Dollars per million tokens of the small model, asked and answered.")
    ] = None,
    price_large: Annotated[float | None, typer.Option(min=0, help="The same of the large one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Judge, out of sample, whether escalating from a small model to a large one gains anything over a coin."""
    from cortex.artifacts.open_store import open_store
    from cortex.runs.escalation_inputs import judge_runs, read_judged
    from cortex.settings import Settings

    if (price_small is None) != (price_large is None):
        raise UsageError("--price-small and --price-large belong together: give both or none")
    dollars = None if price_small is None or price_large is None else (price_small, price_large)
    store = open_store(Settings().bucket_url)
    runs = read_judged(store, small, domain), read_judged(store, large, domain)
    judgement = judge_runs(*runs, dollars)
    if as_json:
        print(json_text(_described(*runs, dollars, judgement)))
    else:
        _print(*runs, judgement)


def _described(
    small: "JudgedRun", large: "JudgedRun", dollars: tuple[float, float] | None, judgement: "RouteJudgement"
) -> dict[str, Any]:
    named = {role: {"run": each.run, "model": each.model} for role, each in (("small", small), ("large", large))}
    prices = None if dollars is None else dict(zip(("small", "large"), dollars, strict=True))
    return {
        "domain": small.name,
        "loss": small.evaluation.words.loss,
        **named,
        "dollars_per_million_tokens": prices,
        **judgement.model_dump(mode="json"),
    }


def _print(small: "JudgedRun", large: "JudgedRun", judgement: "RouteJudgement") -> None:
    from rich.table import Table

    from cortex.console import Console

    console, loss = Console(), small.evaluation.words.loss
    if not console.is_terminal:  # output to a program or a file is not cut to a terminal's 80 columns
        console = Console(width=max(console.width, 140))
    parts = f"Fitted on {judgement.fitted:,} questions, judged on {judgement.judged:,} others: {judgement.split}"
    console.print(f"{small.name}: {small.run} ({small.model}), then {large.run} ({large.model})", soft_wrap=True)
    console.print(f"{parts}. Runs keep no answers to validation questions.", soft_wrap=True)
    rows = Table(
        "asked", "above", "large", loss, "95% interval", "$ per 1,000", "coin", "gain", "95% interval", box=None
    )
    for each in judgement.alone:
        interval = f"{each.interval.low:.4f} to {each.interval.high:.4f}"
        rows.add_row(f"{each.name} alone", "", f"{each.share:.0%}", f"{each.loss:.4f}", interval, _money(each.dollars))
    for each in judgement.thresholds:
        rows.add_row(
            "chosen" if each.above == judgement.chosen else "",
            f"{each.above:.3f}",
            f"{each.share:.0%}",
            f"{each.loss:.4f}",
            f"{each.interval.low:.4f} to {each.interval.high:.4f}",
            _money(each.dollars),
            f"{each.coin_loss:.4f}",
            f"{each.gain:+.4f}",
            f"{each.gain_interval.low:+.4f} to {each.gain_interval.high:+.4f}",
        )
    console.print(rows)
    console.print(judgement.verdict, soft_wrap=True)


def _money(dollars: float | None) -> str:
    return "" if dollars is None else f"{1000 * dollars:.4g}"
