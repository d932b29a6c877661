"""`make roadtest`: try everything that a run needs from an account, for a few dollars, and end what was rented."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dotenv import load_dotenv

from cortex.cli import ENV_FILE
from cortex.console import Console, guard_log
from cortex.errors import CortexError, RefusedError, UsageError
from cortex.runs.pipeline import SKY_YAML
from cortex.section import nearest
from cortex.text import harmless
from cortex.variables.surroundings import complete_environment
from scripts.roadtest.interrupts import Interrupts
from scripts.roadtest.prepare import PROFILE, make_road, new_name, plan_of, require_name
from scripts.roadtest.road import Road
from scripts.roadtest.step import Line, Step, chosen, passed
from scripts.roadtest.steps import STEPS
from scripts.roadtest.steps.ending import LEFT_OVER, SWEEP
from scripts.roadtest.table import planned, summary, table
from scripts.roadtest.walk import Walk

GONE = (OSError, SystemExit)
"""Exceptions of printing where the terminal or the reading program is gone; rich turns some into SystemExit."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.roadtest", description=__doc__)
    parser.add_argument("--profile", default=str(PROFILE), help="in place of the road test's own, small one")
    parser.add_argument(
        "--pipeline", type=Path, default=SKY_YAML, help="in place of sky.yaml; its tasks are made small"
    )
    parser.add_argument("--step", action="append", default=[], help="this one, and those that it needs; again for more")
    parser.add_argument("--region", action="append", default=[], help="look for leftovers there alone; again for more")
    parser.add_argument("--offline", type=float, default=60.0, help="seconds that the laptop is cut off")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="the table for programs, on stdout")
    parser.add_argument("--end", metavar="ID", help="end all that an earlier road test left, and no more")
    args = parser.parse_args()
    load_dotenv(os.environ.get("CORTEX_ENV_FILE", ENV_FILE))
    complete_environment(os.environ)
    guard_log()
    try:
        well = end_earlier(args) if args.end else run(args)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)  # nothing is rented yet, or it is the third Ctrl-C
    except CortexError as error:
        print(f"error: {harmless(' '.join(str(error).split()))}", file=sys.stderr)
        sys.exit(error.exit_code)
    sys.exit(not well)


def run(args: argparse.Namespace) -> bool:
    """Ask the user, take the steps, and print the table; True where nothing failed."""
    names = [step.name for step in STEPS]
    unknown = next((name for name in args.step if name not in names), None)
    if unknown is not None:
        raise UsageError(f"no step {unknown!r}: {nearest(unknown, names)}")
    steps = chosen(STEPS, args.step)
    road = make_road(new_name(), args.profile, args.pipeline, args.region, args.offline)
    console = Console(stderr=args.json)
    show_plan(console, road, steps)
    if any(step.undone for step in steps) and not args.yes:
        ask(road)
    return walk(road, steps, console, as_json=args.json)


def end_earlier(args: argparse.Namespace) -> bool:
    """End what a killed road test has left behind; True where nothing of it is left."""
    name = require_name(args.end)
    road = make_road(name, args.profile, args.pipeline, args.region)
    # It may have been killed in the middle of a launch a moment ago, so both runs count as launched just now.
    road.begin(road.run)
    road.begin(road.wall)
    return walk(road, (LEFT_OVER, SWEEP), Console(stderr=args.json), as_json=args.json)


def walk(road: Road, steps: Sequence[Step], console: Console, *, as_json: bool) -> bool:
    way_out = f"`make roadtest END={road.run}` ends it"
    console.print(f"road test {road.run}; should this program be killed outright, {way_out}", soft_wrap=True)
    with Interrupts(way_out) as interrupts:
        try:
            lines = Walk(road, interrupts, lambda line: tell(console, line)).take(steps)
        except BaseException:
            if road.begun:
                print(standing(road, []), file=sys.stderr)
            raise
        finish(console, road, lines, as_json=as_json)
    return passed(lines)


def show_plan(console: Console, road: Road, steps: Sequence[Step]) -> None:
    """Print the steps, the machines that the run may get with their prices, and the limit of the cost."""
    plan = plan_of(road)
    road.clouds = frozenset(offer.cloud for offer in plan.offers)
    console.print(planned(steps, road.profile.budget.dollars))
    console.print()
    plan.print(console)
    cap = road.profile.budget.dollars + sum(step.dollars for step in steps)
    console.print(
        f"at most  ${cap:.2f}, by caps that hold without this machine; a cap is looked at each minute, and disks, "
        "addresses and traffic, some cents, are not counted in it",
        soft_wrap=True,
    )
    if road.settings.server is None:
        console.print(
            "SkyPilot runs on this machine: keep it up and online until the end. If it is lost, machines end their "
            "work at their caps, but stand, and cost, until `make roadtest END=...` or the cloud's console ends them",
            soft_wrap=True,
        )


def ask(road: Road) -> None:
    if not sys.stdin.isatty():
        raise RefusedError("refusing to rent machines unasked, and there is no terminal to ask at: add --yes (YES=1)")
    if input(f"Rent machines for {road.run}? [y/N] ").strip().lower() not in ("y", "yes"):
        raise RefusedError("nothing was rented")


def tell(console: Console, line: Line) -> None:
    with suppress(*GONE):  # a lost terminal must not keep machines from being ended
        console.print(f"{line.name}: {line.state}{f' ({line.detail})' if line.detail else ''}", soft_wrap=True)


def finish(console: Console, road: Road, lines: Sequence[Line], *, as_json: bool) -> None:
    """Print the table, save it in the working folder, and say what is left, or may be left."""
    path = road.verbs.folder.parent / "roadtest.json"
    text = json.dumps({"road_test": road.run, "lines": [line.to_json() for line in lines]}, indent=1)
    path.write_text(f"{text}\n", encoding="utf-8")
    with suppress(*GONE):
        console.print(table(lines))
        console.print(f"{summary(lines)}; ${road.spent:.2f} by the ledgers; all of it is in {path}", soft_wrap=True)
        if road.begun:
            console.print(standing(road, lines), soft_wrap=True)
        if as_json:
            print(text)


def standing(road: Road, lines: Sequence[Line]) -> str:
    """A line on what is left after the road test, and how to end it."""
    found = next((line.state for line in lines if line.name == LEFT_OVER.name), None)
    if found not in ("passed", "not proven here"):
        return (
            f"SOMETHING MAY STAND, AND COST: `make roadtest END={road.run}` ends it; `make sweep` and the cloud's "
            "console show what bears the tag cortex-run"
        )
    unsure = "" if found == "passed" else "the cloud itself was not asked whether machines stand: see its console; "
    runs = " and ".join(f"{road.store.url}/runs/{run}" for run in road.begun)
    return f"{unsure}what stays are some megabytes in the bucket: {runs}"


if __name__ == "__main__":
    main()
