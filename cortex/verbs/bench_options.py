"""Options of `cortex bench serve`."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from cortex.benching.amounts_text import read_dollars
from cortex.benching.load_levels import Levels, read_concurrencies, read_rates
from cortex.benching.slo import Objective, read_objective
from cortex.verbs.options import parsed, read_path

Url = Annotated[str, typer.Argument(metavar="URL", help="The endpoint, up to /v1. MODEL@URL names a model.")]
Against = Annotated[
    list[str] | None, typer.Option(metavar="URL", help="Another endpoint, measured in turns. May be repeated.")
]
Concurrency = Annotated[
    Levels | None,
    typer.Option(parser=parsed(read_concurrencies), metavar="1,2,4", help="Requests at a time; default: 1,2,4,8,16."),
]
Rate = Annotated[
    Levels | None,
    typer.Option(parser=parsed(read_rates), metavar="0.5,1,2", help="Or arrivals a second, at random times."),
]
Requests = Annotated[int | None, typer.Option(min=1, max=1_000_000, help="Requests of each level.")]
Rounds = Annotated[int | None, typer.Option(min=1, max=1000, help="Turns of each endpoint at each level.")]
Dataset = Annotated[
    Path | None, typer.Option(parser=read_path, metavar="DIR", help="Prompts of a folder from `dataset build`.")
]
OfProfile = Annotated[
    str | None, typer.Option("--profile", metavar="PROFILE", help="Or of a profile's own domain, built for the bench.")
]
Split = Annotated[str, typer.Option(help="Split of the prompts.")]
TokensIn = Annotated[int, typer.Option(min=1, max=10_000_000, help="Or words of about so many tokens.")]
TokensOut = Annotated[
    int | None, typer.Option(min=1, max=10_000_000, help="Most tokens of an answer; default: the profile's, or 64.")
]
IgnoreEos = Annotated[
    bool, typer.Option("--ignore-eos", help="Ask for exactly so many; vLLM, SGLang and llama.cpp can.")
]
Timeout = Annotated[float, typer.Option(min=0.1, max=86_400, help="Seconds that one answer may take.")]
Slo = Annotated[
    Objective | None,
    typer.Option(parser=parsed(read_objective), metavar="ttft=500ms,itl=50ms", help="Count requests within it."),
]
Price = Annotated[
    list[Decimal] | None,
    typer.Option(
        parser=parsed(read_dollars),
        metavar="DOLLARS",
        help="A server's price for an hour. Once for all endpoints, or once for each in their order.",
    ),
]
Instance = Annotated[
    list[str] | None,
    typer.Option(metavar="CLOUD/TYPE", help="Or its machine, as aws/g6.xlarge, at the catalog's price."),
]
Spot = Annotated[bool, typer.Option("--spot", help="The machine's price on spot.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of prompts and arrivals.")]
Plot = Annotated[Path | None, typer.Option(parser=read_path, metavar="FILE.svg", help="Also plot it.")]
