"""The command line: the verbs of `cortex/verbs/`, and how errors are printed."""

import os
import sys

import typer
from dotenv import load_dotenv

from cortex.errors import CortexError
from cortex.text import harmless
from cortex.variables.surroundings import ROOT, complete_environment
from cortex.verbs import (
    audit_verb,
    backtesting,
    beginning,
    benching,
    benchmark_verbs,
    checking,
    datasets,
    domains,
    estimating,
    exporting,
    feedback_verbs,
    gateways,
    here,
    launching,
    planning,
    pricing,
    profiles,
    publishing_verbs,
    pulling,
    releases,
    rent,
    reporting,
    reviewing,
    route_verbs,
    rubric_verbs,
    searching,
    server,
    serving,
    signing_verbs,
    teachers,
    tinker_verb,
    watching,
)

ENV_FILE = ROOT / ".env"
"""The checkout's settings file; `make infra-up` writes to it."""

app = typer.Typer(
    name="cortex",
    help="Fine-tune a reasoning model on spot GPUs: rehearsed, resumable, proven and judged.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verbs in (
    here,
    beginning,
    checking,
    planning,
    estimating,
    pricing,
    launching,
    searching,
    rent,
    tinker_verb,
    serving,
    watching,
    audit_verb,
    backtesting,
    benchmark_verbs,
    releases,
    signing_verbs,
    publishing_verbs,
    reporting,
    gateways,
    reviewing,
):
    app.add_typer(verbs.app)
app.add_typer(benching.app, name="bench")
pulling.app.add_typer(exporting.app)
app.add_typer(pulling.app, name="data")
app.add_typer(datasets.app, name="dataset")
app.add_typer(gateways.keys_app, name="apikey")
app.add_typer(domains.app, name="domain")
app.add_typer(feedback_verbs.app, name="feedback")
app.add_typer(profiles.app, name="profile")
app.add_typer(route_verbs.app, name="route")
app.add_typer(rubric_verbs.app, name="rubric")
app.add_typer(server.app, name="server")
app.add_typer(teachers.app, name="teach")


@app.callback()
def prepare() -> None:
    """Sanitize log messages before any verb runs. Imported here, so that `--help` need not load the logger."""
    from cortex.console import guard_log

    guard_log()


def main() -> None:
    """Run the command line; print an error of the kit as one line on stderr and leave with its exit code.

    Variables of `.env` that the environment does not set are put into the environment, since `.env` holds more than
    the kit's own settings: the bucket's client, boto3 and SkyPilot read AWS_REGION. CORTEX_ENV_FILE names another file.
    """
    load_dotenv(os.environ.get("CORTEX_ENV_FILE", ENV_FILE))
    complete_environment(os.environ)
    try:
        app(prog_name="cortex")
    except CortexError as error:
        print(f"error: {harmless(error)}", file=sys.stderr)
        sys.exit(error.exit_code)
