"""Paths as users write them: `~`, `$NAME` and `${NAME}` stand for the same everywhere.

A shell replaces them in its own words alone. In a profile, in `.env`, after `--to=` and between quotes they arrive as
they are written, and would name a folder called `~`.
"""

import os
import re
from pathlib import Path

_VARIABLE = re.compile(r"\$(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|\{(?P<braced>[^}]*)\})")


def expand(text: str) -> str:
    """A path with `~` and variables replaced.

    Raises:
        ValueError: a variable is not set, a user is not known, or no path can be so.
    """

    def value(match: "re.Match[str]") -> str:
        name = match["name"] or match["braced"]
        if not os.environ.get(name):
            raise ValueError(f"{text!r} names the variable {match[0]}, which is not set: set it, or write the path out")
        return os.environ[name]

    expanded = _VARIABLE.sub(value, text)
    if expanded.startswith("~"):
        try:
            expanded = str(Path(expanded).expanduser())
        except RuntimeError as error:
            raise ValueError(
                f"{text!r} names a home folder that is not known: set HOME, or write the path out"
            ) from error
    if not expanded.strip():
        raise ValueError(f"{text!r} is no path: name a file or a folder")
    if "\0" in expanded or not _encodable(expanded):
        raise ValueError(f"{text!r} holds what no path can: write it anew")
    return expanded


def expand_path(value: object) -> object:
    """As `expand`, for a value that is to become a `Path`: what is no text stays for others to judge."""
    return Path(expand(os.fspath(value))) if isinstance(value, str | Path) else value


def _encodable(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True
