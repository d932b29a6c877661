"""`cortex new`: from nothing to a profile of one's own."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortex.errors import UsageError
from cortex.verbs.options import read_path

if TYPE_CHECKING:
    from cortex.fleet.capacity.capacity_plan import CapacityPlan
    from cortex.fleet.capacity.new_profile import Drafted

app = typer.Typer()

NEXT = {
    "plan": "memory, time and dollars of every phase",
    "doctor": "what is missing before a first launch",
    "train": "the run itself, after a plan and a question",
}
"""Targets of the Makefile for a new profile, in order."""

Name = Annotated[str | None, typer.Argument(metavar="NAME", help="The new profile's name.")]


@app.command()
def new(
    name: Name = None,
    task: Annotated[str | None, typer.Option(help="What to learn: markets, currencies or gym.")] = None,
    data: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Your own price files, or a folder. May be repeated.")
    ] = None,
    bars: Annotated[str, typer.Option(help="The length of your files' bars, such as 1h; or days.")] = "days",
    model: Annotated[str | None, typer.Option(help="The base: a hub's name or a folder.")] = None,
    licence: Annotated[str | None, typer.Option(help="The base's licence, such as apache-2.0.")] = None,
    gpu: Annotated[str | None, typer.Option(help="SkyPilot's name of the GPU.")] = None,
    gpus: Annotated[int | None, typer.Option(help="GPUs of the machine that trains.")] = None,
    budget: Annotated[float | None, typer.Option(metavar="DOLLARS", help="The most that a run may cost.")] = None,
    into: Annotated[
        Path | None, typer.Option(parser=read_path, metavar="DIR", help="In place of jobs/profiles/.")
    ] = None,
) -> None:
    """Write a profile of your own: asks for the task, the data, the model, the GPUs and the budget, and checks them.

    What is given as an option is not asked. Without a terminal the defaults are taken for the rest.
    """
    from cortex.fleet.capacity.new_profile import TASKS, Wishes, draft_new, write_new
    from cortex.profiles.profile_file import PROFILES
    from cortex.settings import Settings

    if sys.stdin.isatty():
        print("What to learn:\n" + "\n".join(f"  {key}: {one.words}" for key, one in TASKS.items()))
    task = task or str(_ask("Task", "markets"))
    if task in TASKS and TASKS[task].takes_files and data is None and sys.stdin.isatty():
        asked = str(_ask("Your own price files or a folder; nothing for the task's own source", ""))
        data = [asked] if asked else []
    name = name or str(_ask("Name of the profile", f"my-{task}"))
    model = model or str(_ask("Base model", Wishes.base))
    if licence is None and model != Wishes.base and sys.stdin.isatty():
        licence = str(_ask("The base's licence", "apache-2.0"))
    wishes = Wishes(
        name=name,
        task=task,
        files=tuple(data or ()),
        bars=bars,
        base=model,
        licence=licence,
        accelerator=gpu or str(_ask("GPU", Wishes.accelerator)),
        gpus=gpus if gpus is not None else int(_ask("How many", Wishes.gpus)),
        dollars=budget if budget is not None else float(_ask("Budget in dollars", Wishes.dollars)),
        into=into or PROFILES,
    )
    drafted = draft_new(wishes, Settings(), on_start=lambda words: print(f"{words} ...", file=sys.stderr, flush=True))
    hours, dollars = _cost(drafted.plan)
    if dollars is not None and dollars > wishes.dollars:
        raise UsageError(
            f"{wishes.name} would cost about ${dollars:.0f}, more than its budget of ${wishes.dollars:.0f}: raise "
            "`--budget`, or take a smaller model"
        )
    path = write_new(drafted, wishes)
    _report(drafted, path, dollars=dollars, hours=hours)


def _report(drafted: "Drafted", path: Path, *, hours: float, dollars: float | None) -> None:
    """Print the new profile's path, changes and cost, and the commands to go on with."""
    from cortex.profiles.profile_file import PROFILES

    print(f"{path}: written")
    if drafted.changes:
        print("changed so that it fits: " + ", ".join(f"{key} = {value}" for key, value in drafted.changes.items()))
    price = "dollars unknown: no catalog here" if dollars is None else f"about ${dollars:.0f}"
    print(f"every phase fits; about {hours:.1f} hours of work, {price}, before preemptions and labels")
    named = path.stem if path.parent == PROFILES else str(path)
    print("next:\n  make rehearse: the whole pipeline, small, on this machine")
    for target, words in NEXT.items():
        print(f"  make {target} PROFILE={named}: {words}")


def _ask(question: str, default: str | float) -> str | float:
    """The answer from the terminal, of the default's type; the default where there is none."""
    return typer.prompt(question, default=default) if sys.stdin.isatty() else default


def _cost(plan: "CapacityPlan") -> tuple[float, float | None]:
    """Hours and dollars of all phases of a plan; None without prices."""
    from cortex.fleet.capacity.stage_prices import stage_prices
    from cortex.fleet.tasks.run_tasks import resolve
    from cortex.runs.pipeline import SKY_YAML
    from cortex.settings import Settings

    documents = resolve(plan.profile, "plan", pipeline=SKY_YAML, settings=Settings())
    prices = stage_prices(plan.profile, documents).dollars
    known = [phase.seconds / 3600 * prices[phase.stage] for phase in plan.phases if phase.stage in prices]
    hours = sum(phase.seconds for phase in plan.phases) / 3600
    return hours, sum(known) if len(known) == len(plan.phases) else None
