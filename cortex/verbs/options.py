"""Options and arguments that several verbs take, and their exit code after Ctrl-C."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from cortex.paths import expand

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one value of the profile: grpo.learning_rate=1e-5. May be repeated.",
    ),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]

INTERRUPTED = 128 + signal.SIGINT
"""The exit code of a program that was interrupted from the keyboard."""


def read_path(text: str) -> Path:
    """A path with `~` and `$NAME` replaced, since the shell does not replace them in `--to=~/x` and in quotes."""
    try:
        return Path(expand(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
