"""`cortex profile`: what a profile says once all that it extends is laid together, and what it may say."""

from typing import Annotated

import typer

from cortex.text import json_text
from cortex.verbs.words import AsJson, Set

app = typer.Typer(help="Look at a profile, and at what one may say.", no_args_is_help=True)


@app.command("show")
def profile_show(
    profile: Annotated[str, typer.Argument(metavar="PROFILE", help="A name in jobs/profiles/, or a path.")],
    sets: Set = None,
    as_json: AsJson = False,
) -> None:
    """Every value of a profile, and where it comes from: a file, --set, or nowhere, which is the default."""
    from cortex.runs.profile_file import draft_profile
    from cortex.runs.profile_text import annotated, origins

    draft = draft_profile(profile, sets=sets)
    checked = draft.checked()
    if as_json:
        print(json_text({"profile": checked.model_dump(mode="json"), "origins": origins(draft, checked)}))
    else:
        print(annotated(draft, checked), end="")


@app.command("schema")
def profile_schema() -> None:
    """The JSON schema of a profile's file: editors complete and check by it."""
    from cortex.runs import profile_text

    print(json_text(profile_text.profile_schema()))
