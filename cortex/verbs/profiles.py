"""`cortex profile`: a profile's values with all that it extends, and the schema of profile files."""

from typing import Annotated

import typer

from cortex.text import json_text
from cortex.verbs.options import AsJson, Set

app = typer.Typer(help="Show a profile's values, or the schema of profiles.", no_args_is_help=True)


@app.command("show")
def profile_show(
    profile: Annotated[str, typer.Argument(metavar="PROFILE", help="A name in jobs/profiles/, or a path.")],
    sets: Set = None,
    as_json: AsJson = False,
) -> None:
    """Show every value of a profile and its origin: a file, --set, or the default."""
    from cortex.profiles.profile_file import draft_profile
    from cortex.profiles.profile_text import annotate_profile, value_origins

    draft = draft_profile(profile, sets=sets)
    checked = draft.checked()
    if as_json:
        print(json_text({"profile": checked.model_dump(mode="json"), "origins": value_origins(draft, checked)}))
    else:
        print(annotate_profile(draft, checked), end="")


@app.command("schema")
def profile_schema() -> None:
    """Print the JSON schema of profile files, with which editors complete and check them."""
    from cortex.profiles import profile_text

    print(json_text(profile_text.profile_schema()))
