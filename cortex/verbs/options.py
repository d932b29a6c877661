"""Options and arguments that several verbs take, and their exit code after Ctrl-C."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from cortex.errors import UsageError
from cortex.paths import expand

Value = TypeVar("Value")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one value of the profile: grpo.learning_rate=1e-5. May be repeated.",
    ),
]
Through = Annotated[
    str | None,
    typer.Option(metavar="STAGE", help="Stop after this stage; without the option, the same run goes on to its end."),
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


def parsed(read: Callable[[str], Value]) -> Callable[[object], Value]:
    """The reader of an option's text, whose `ValueError` ends the command as any other wrong option does."""

    def parse(text: object) -> Value:
        try:
            return read(str(text))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    return parse


def require_folder(path: Path) -> None:
    """Check, before a long measurement, that a file can be written where its result goes.

    Raises:
        UsageError: its folder is not there.
    """
    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: {path.parent} is no folder")


def write_plot(path: Path, svg: str) -> None:
    """Write a plot's file.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        path.write_text(svg, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
