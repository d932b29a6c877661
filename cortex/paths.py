"""Paths as users write them: `~`, `$NAME` and `${NAME}` mean the same everywhere.

A shell replaces them only in plain words of its command line. In a profile, in `.env`, after `--to=` and in quotes they
arrive unchanged, and would name a folder called `~`.
"""

import os
import re
from pathlib import Path

_VARIABLE = re.compile(r"\$(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|\{(?P<braced>[^}]*)\})")


def expand(text: str) -> str:
    """A path with `~` and variables replaced.

    Raises:
        ValueError: a variable is not set, a user is not known, or the text cannot be a path.
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
    """As `expand`, for a pydantic field of type `Path`: a value of another type is returned for pydantic to refuse."""
    return Path(expand(os.fspath(value))) if isinstance(value, str | Path) else value


def _encodable(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True
