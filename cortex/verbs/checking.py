"""Verbs that check before and after runs: that everything is ready, and that nothing is left over."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortex.errors import ConfigError, CortexError, RefusedError, UsageError
from cortex.text import json_text
from cortex.verbs.options import INTERRUPTED, AsJson, Set, read_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cortex.artifacts.store import Store
    from cortex.fleet.sweep.sweep import Leftover, Sweep

app = typer.Typer()


@app.command()
def preflight(
    profile: Annotated[str, typer.Argument(metavar="PROFILE", help="A name in jobs/profiles/, or a path.")],
    pipeline: Annotated[
        Path | None, typer.Option("--pipeline", parser=read_path, metavar="PATH", help="In place of sky.yaml.")
    ] = None,
    sets: Set = None,
    as_json: AsJson = False,
) -> None:
    """Check everything that a launch needs: exits 0, or 78 and names every fault with its fix."""
    from cortex.console import Console
    from cortex.fleet.preflight import preflight as look
    from cortex.fleet.preflight.finding import failed, table
    from cortex.fleet.tasks.run_tasks import resolve
    from cortex.profiles.profile_file import load_profile
    from cortex.runs.pipeline import SKY_YAML
    from cortex.settings import Settings

    resolved, settings = load_profile(profile, sets=sets), Settings()
    documents = resolve(resolved, "preflight", pipeline=pipeline or SKY_YAML, settings=settings)
    findings = look(resolved, None, settings, documents)
    if as_json:
        print(json_text([finding.to_json() for finding in findings]))
    else:
        Console().print(table(findings))
    faults = failed(findings)
    if faults:
        raise ConfigError(
            f"{resolved.name} cannot be launched: {', '.join(fault.check for fault in faults)}; see the fixes"
        )


@app.command()
def doctor(
    profile: Annotated[str, typer.Argument(metavar="[PROFILE]", help="The profile to be launched.")] = "cortex-8b",
    sets: Set = None,
    as_json: AsJson = False,
) -> None:
    """Check the steps to a first launch, one by one: exits 0 once all is ready, or 78 and names the next step."""
    from cortex.console import Console
    from cortex.fleet.preflight.doctor import examine, first_missing, page, to_json
    from cortex.fleet.tasks.run_tasks import resolve
    from cortex.profiles.profile_file import load_profile
    from cortex.runs.pipeline import SKY_YAML
    from cortex.settings import Settings

    resolved, settings = load_profile(profile, sets=sets), Settings()
    reached = examine(resolved, settings, resolve(resolved, "doctor", pipeline=SKY_YAML, settings=settings))
    if as_json:
        print(json_text(to_json(reached)))
    else:
        Console().print(page(reached))
    missing = first_missing(reached)
    if missing:
        raise ConfigError(f"next, {missing.check}: {missing.fix}")
    if not as_json:
        print(f"ready: make train PROFILE={profile}")


@app.command()
def sweep(
    regions: Annotated[
        list[str] | None,
        typer.Option("--region", help="Look in this region; may be repeated. Default: all enabled regions."),
    ] = None,
    destroy: Annotated[bool, typer.Option("--destroy", help="Destroy what is found.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --destroy: do not ask.")] = False,
    foreign: Annotated[
        bool, typer.Option("--foreign", help="With --destroy: also things that runs of other buckets may need.")
    ] = False,
    abandon: Annotated[
        bool,
        typer.Option(
            "--abandon", help="With --destroy: also things that may hold a release's only copy, or be in use."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Find machines, disks and addresses with the kit's tags that no live run needs; AWS only."""
    from cortex.artifacts.open_store import open_store
    from cortex.fleet.sweep.sweep import look
    from cortex.settings import Settings

    store = open_store(Settings().bucket_url)
    where = _choose_regions(regions or ())
    swept = look(store, where)
    _show_swept(swept, len(where), as_json=as_json)
    ours = [leftover for leftover in swept.found if foreign or not leftover.foreign]
    wanted = [leftover for leftover in ours if abandon or not leftover.verdict.keeps]
    faults = [f"could not look everywhere: {fault}" for fault in swept.failures]
    if destroy and len(wanted) < len(ours):
        print(
            f"{len(ours) - len(wanted)} of these may hold what nobody else has: bring it home first (`cortex download "
            "RUN`, or `--from-cluster`), or let it go for good with --abandon",
            file=sys.stderr,
        )
    if destroy and wanted:
        if not yes:
            ask_to_destroy(len(wanted))
        faults += _destroy(wanted, store, where, as_json=as_json)
    if faults:
        raise CortexError(f"{'; '.join(faults)}; run it again once that is mended")


def _choose_regions(asked: "Sequence[str]") -> list[str]:
    """The regions asked for, each once; all that are enabled where none is."""
    from cortex.fleet.sweep import ec2
    from cortex.section import nearest

    known = ec2.regions()
    stray = [region for region in asked if region not in known]
    if stray:
        raise UsageError(f"no region {stray[0]!r} is enabled for this account: {nearest(stray[0], known)}")
    return list(dict.fromkeys(asked or known))


def _show_swept(swept: "Sweep", regions: int, *, as_json: bool) -> None:
    from cortex.console import Console
    from cortex.fleet.sweep.sweep import ELSEWHERE, table

    if as_json:
        print(json_text(swept.to_json()))
    elif swept.found:
        Console().print(table(swept.found))
    else:
        Console().print(f"nothing is left over in {regions} regions; {swept.live} things belong to live runs")
    print(ELSEWHERE, file=sys.stderr)


def _destroy(leftovers: "Sequence[Leftover]", store: "Store", regions: "Sequence[str]", *, as_json: bool) -> list[str]:
    """Destroy them, and print how each went; returns the faults."""
    from cortex.fleet.sweep.sweep import destroy

    faults: list[str] = []
    try:
        for leftover, fault in destroy(leftovers, store, regions):
            print(
                f"{leftover.thing.kind} {leftover.thing.id}: {fault or 'destroyed'}",
                file=sys.stderr if as_json else None,
            )
            faults += [fault] if fault else []
    except KeyboardInterrupt as interruption:
        print("interrupted; the same command goes on with the rest", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from interruption
    return faults


def ask_to_destroy(count: int) -> None:
    """Have the user type the confirmation; refuse without a terminal."""
    if not sys.stdin.isatty():
        raise RefusedError(f"refusing to destroy {count} things unasked: look at the list, then add --yes")
    typed = typer.prompt(f"Type `destroy {count}` to end what is listed")
    if typed.strip() != f"destroy {count}":
        raise UsageError(f"{typed!r} is not `destroy {count}`: nothing was destroyed")
