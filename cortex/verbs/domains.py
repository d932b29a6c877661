"""`cortex domain`: a new domain, and whether one keeps its contract."""

from pathlib import Path
from typing import Annotated

import typer

from cortex.text import json_text
from cortex.verbs.options import AsJson, read_path

app = typer.Typer(help="Start a domain of your own, and check one.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Its kind: the name of its folder.")]


@app.command("init")
def domain_init(
    name: Name,
    into: Annotated[
        Path | None, typer.Option(parser=read_path, metavar="DIR", help="In place of the checkout's own folders.")
    ] = None,
) -> None:
    """Write a domain that works as it is, its rehearsal's profile and its tests: change it into your own."""
    from cortex.domains.scaffold import scaffold

    for path in scaffold(name, into):
        print(path)
    elsewhere = f"CORTEX_DOMAINS={into} " if into else ""
    print(f"next: {elsewhere}cortex domain check {name}")


@app.command("check")
def domain_check(
    name: Name,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the domain's section.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of what it builds.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Try each promise of a domain's contract: exits 0, or 65 and names those that are broken."""
    from dataclasses import asdict

    from rich.table import Table

    from cortex.console import Console
    from cortex.domains.contract import check_domain
    from cortex.errors import DataError
    from cortex.profiles.profile_file import read_section
    from cortex.settings import Settings

    found = check_domain(read_section(name, {}, sets), Settings(), seed)
    if as_json:
        print(json_text([asdict(kept) for kept in found]))
    else:
        table = Table("promise", "kept", "", box=None)
        for kept in found:
            table.add_row(kept.name, "yes" if kept.kept else "NO", kept.detail)
        Console().print(table)
    broken = [kept for kept in found if not kept.kept]
    if broken:
        raise DataError(f"domain {name}: {broken[0].name}: {broken[0].detail}")
