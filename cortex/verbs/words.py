"""Words that several verbs take."""

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
