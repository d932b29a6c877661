"""`cortex dataset`: the examples that a run would learn from, without a run."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cortex.errors import UsageError
from cortex.text import json_text
from cortex.verbs.options import AsJson, read_path

app = typer.Typer(help="Build and look at a dataset, without a run.", no_args_is_help=True)


@app.command("build")
def dataset_build(
    out: Annotated[
        Path, typer.Option(parser=read_path, metavar="PATH", help="A folder that does not exist yet, or is empty.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            parser=read_path,
            metavar="PATH",
            help="For markets: a parquet or CSV file of daily OHLC, or a folder of them.",
        ),
    ] = None,
    horizon_days: Annotated[
        int | None, typer.Option(help="For markets: days from the decision to the outcome; 1 if not given.")
    ] = None,
    style: Annotated[str | None, typer.Option(help="For markets: full or compact prompts; full if not given.")] = None,
    domain: Annotated[str, typer.Option(help="A domain's kind.")] = "markets",
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the domain's section.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of what is drawn.")] = 0,
) -> None:
    """Turn a domain's source into examples, and write them with a manifest."""
    from cortex.console import Console
    from cortex.domains.build_progress import progress_bar
    from cortex.domains.dataset import build_dataset, read_description
    from cortex.domains.mix_words import mix_lines
    from cortex.profiles.profile_file import read_section
    from cortex.runs.show import print_account
    from cortex.settings import Settings

    given: dict[str, Any] = {"horizon_days": horizon_days, "style": style}
    given |= {"source": None if data is None else {"kind": "files", "paths": [str(data.absolute())]}}
    if domain == "markets" and data is None and not sets:
        raise UsageError("name a file or a folder of prices: --data PATH")
    section = read_section(domain, {key: value for key, value in given.items() if value is not None}, sets)
    with progress_bar(Console(stderr=True)) as on_progress:
        count = build_dataset(section, seed, Settings(), out, on_progress)
    description = read_description(out)
    if account := description.get("account"):
        print_account(account, Console())
    print(*mix_lines(description.get("mixing", {})), sep="\n", end="\n" * bool(description.get("mixing")))
    print(f"{out}: {count:,} examples")


@app.command("show")
def dataset_show(
    folder: Annotated[Path, typer.Argument(parser=read_path, metavar="DIR", help="A folder from `dataset build`.")],
    as_json: AsJson = False,
) -> None:
    """Show a dataset: splits, dates, base rates, and one prompt."""
    from cortex.console import Console
    from cortex.domains.dataset import describe_dataset
    from cortex.runs.show import print_dataset

    described = describe_dataset(folder)
    if as_json:
        print(json_text(described))
    else:
        print_dataset(described, Console())
