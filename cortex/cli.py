"""The command line: the verbs of `cortex/verbs/`, and what an error looks like."""

import os
import sys

import typer
from dotenv import load_dotenv

from cortex.errors import CortexError
from cortex.surroundings import ROOT, settle
from cortex.text import harmless
from cortex.verbs import (
    checking,
    datasets,
    domains,
    forecasting,
    here,
    launching,
    planning,
    profiles,
    releases,
    server,
    watching,
)

ENV_FILE = ROOT / ".env"
"""In the checkout; `make infra-up` writes it."""

app = typer.Typer(
    name="cortex",
    help="Fine-tune a reasoning model on spot GPUs: rehearsed, resumable, proven and judged.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verbs in (here, checking, planning, forecasting, launching, watching, releases):
    app.add_typer(verbs.app)
app.add_typer(datasets.app, name="dataset")
app.add_typer(domains.app, name="domain")
app.add_typer(profiles.app, name="profile")
app.add_typer(server.app, name="server")


@app.callback()
def prepare() -> None:
    """Before any verb: what is logged is made harmless. Here, so that `--help` need not load the logger."""
    from cortex.console import guard_log

    guard_log()


def main() -> None:
    """Run the command line; an error of the kit is one line on stderr and its exit code.

    What `.env` says, and the environment does not, holds for the whole program: not only the kit's settings are in
    there, but AWS_REGION, which the bucket's client, boto3 and SkyPilot read. CORTEX_ENV_FILE names another file.
    """
    load_dotenv(os.environ.get("CORTEX_ENV_FILE", ENV_FILE))
    settle(os.environ)
    try:
        app(prog_name="cortex")
    except CortexError as error:
        print(f"error: {harmless(error)}", file=sys.stderr)
        sys.exit(error.exit_code)
