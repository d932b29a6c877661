"""The command line: the verbs of `cortex/verbs/`, and what an error looks like."""

import sys

import typer

from cortex.errors import CortexError
from cortex.verbs import checking, datasets, forecasting, here, launching, releases, watching

app = typer.Typer(
    name="cortex",
    help="Fine-tune a reasoning model on spot GPUs: rehearsed, resumable, proven and judged.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verbs in (here, checking, forecasting, launching, watching, releases):
    app.add_typer(verbs.app)
app.add_typer(datasets.app, name="dataset")


def main() -> None:
    """Run the command line; an error of the kit is one line on stderr and its exit code."""
    try:
        app()
    except CortexError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)
