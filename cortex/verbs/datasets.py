"""`cortex dataset`: the examples that a run would learn from, without a run."""

from pathlib import Path
from typing import Annotated

import typer

from cortex.text import json_text
from cortex.verbs.words import AsJson, read_path

app = typer.Typer(help="Build and look at a dataset, without a run.", no_args_is_help=True)


@app.command("build")
def dataset_build(
    data: Annotated[
        Path,
        typer.Option(
            parser=read_path, metavar="PATH", help="A parquet or CSV file of daily OHLC, or a folder of them."
        ),
    ],
    out: Annotated[
        Path, typer.Option(parser=read_path, metavar="PATH", help="A folder that does not exist yet, or is empty.")
    ],
    horizon_days: Annotated[int, typer.Option(help="Days from the decision to the outcome.")] = 1,
    style: Annotated[str, typer.Option(help="full or compact prompts.")] = "full",
) -> None:
    """Turn market history into examples, and write them with a manifest."""
    from cortex.console import Console
    from cortex.dataset import build_dataset, read_description
    from cortex.show import print_account

    examples = build_dataset(data, out, horizon_days, style)
    print_account(read_description(out)["account"], Console())
    print(f"{out}: {len(examples):,} examples")


@app.command("show")
def dataset_show(
    folder: Annotated[Path, typer.Argument(parser=read_path, metavar="DIR", help="A folder from `dataset build`.")],
    as_json: AsJson = False,
) -> None:
    """Show a dataset: splits, dates, base rates, and one prompt."""
    from cortex.console import Console
    from cortex.dataset import describe_dataset
    from cortex.show import print_dataset

    described = describe_dataset(folder)
    if as_json:
        print(json_text(described))
    else:
        print_dataset(described, Console())
