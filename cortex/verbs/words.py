"""Words that several verbs take, and how they leave."""

import signal
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]

INTERRUPTED = 128 + signal.SIGINT
"""The exit code of a program that was interrupted from the keyboard."""
