"""`cortex teach`: a profile's teacher, before it is asked."""

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortex.errors import ConfigError
from cortex.text import json_text
from cortex.verbs.options import AsJson, Set, read_path

if TYPE_CHECKING:
    from cortex.console import Console
    from cortex.domains.question import Conversation
    from cortex.profiles.profile import Profile
    from cortex.settings import Settings
    from cortex.stages.teaching_estimate import TeachingEstimate

app = typer.Typer(help="What a profile's teacher will cost.", no_args_is_help=True)


@app.callback()
def teach() -> None:
    """Keep `estimate` a verb of its own while it is the only one."""


@app.command("estimate")
def teach_estimate(
    profile: Annotated[str, typer.Argument(metavar="PROFILE", help="A name in jobs/profiles/, or a path.")],
    sets: Set = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            parser=read_path, metavar="DIR", help="A folder from `dataset build`; else the examples are built first."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Estimate what the labels of a profile will cost at each of its providers; nobody is asked."""
    from cortex.console import Console
    from cortex.profiles.profile_file import load_profile
    from cortex.settings import Settings
    from cortex.stages.label import ANSWERS
    from cortex.stages.teaching_estimate import estimate_teaching
    from cortex.teaching.answer_cache import AnswerCache

    found, settings = load_profile(profile, sets=sets), Settings()
    if not found.teacher.providers:
        raise ConfigError(
            f"{found.name}: teacher.providers is empty, and no price is known: list some (docs/teacher.md)"
        )
    prompts, tests = _prompts(found, dataset, settings)
    path = settings.home / ANSWERS
    result = estimate_teaching(found, prompts, AnswerCache(path) if path.exists() else None, tests)
    if as_json:
        print(json_text(result.to_json()))
    else:
        _print_estimate(result, Console())


def _prompts(
    profile: "Profile", dataset: Path | None, settings: "Settings"
) -> "tuple[list[Conversation], list[Conversation]]":
    """The prompts that `label` would send: those of labels, and those of test questions."""
    from cortex.domains.dataset import write_dataset

    if dataset:
        return _sent(profile, dataset)
    with tempfile.TemporaryDirectory() as folder:
        write_dataset(profile.domain, profile.seed, settings, Path(folder))
        return _sent(profile, Path(folder))


def _sent(profile: "Profile", data: Path) -> "tuple[list[Conversation], list[Conversation]]":
    from cortex.stages.teacher_prompts import held_out, held_out_prompts, taught_prompts

    tests = held_out_prompts(profile, held_out(profile, data))
    return list(taught_prompts(profile, data).values()), list(tests.values())


def _print_estimate(found: "TeachingEstimate", console: "Console") -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("provider", no_wrap=True)
    for heading in ("in the cache", "prompt tokens", "answer tokens", "dollars", "at most", "least minutes"):
        table.add_column(heading, justify="right")
    for each in found.providers:
        table.add_row(
            f"{each.provider} in batches" if each.batch else f"{each.provider} ({each.model})",
            f"{each.in_cache:,}",
            f"{each.prompt_tokens:,}",
            f"{each.usual_answer:,} (at most {each.longest_answer:,})",
            _money(each.dollars),
            _money(each.most_dollars),
            "a day" if each.batch else f"{each.minutes:,.0f}",
        )
    console.print(f"{found.profile}: {found.prompts:,} prompts, all at one provider or another")
    if found.tests:
        console.print(f"{found.tests:,} of them are test questions, for the teacher's score with its prompt")
    console.print()
    console.print(table)
    for basis in dict.fromkeys(each.basis for each in found.providers):
        console.print(f"\nlength of a usual answer: {basis}")
    console.print(f"tokens of prompts: {found.counting}")


def _money(dollars: Decimal | None) -> str:
    return "no price" if dollars is None else f"${dollars:,.2f}"
