"""A new domain from a template: its module, its rehearsal's profile, its tests."""

import re
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from cortex.domains.registry import known_domains
from cortex.errors import UsageError
from cortex.settings import CHECKOUT

TEMPLATES = files("cortex.domains") / "templates"
"""Templates of the worked example in docs/domains.md."""


def scaffold(name: str, into: Path | None = None) -> list[Path]:
    """Write the files of a new, working domain into the checkout or another folder, and return their paths.

    Raises:
        UsageError: the name is invalid or taken, or one of the files exists; then nothing is written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name):
        raise UsageError(f"{name!r} is no name for a domain: lower-case letters, digits and _, a letter first")
    if name in known_domains():
        raise UsageError(f"there is a domain {name!r}: choose another name")
    home = into or CHECKOUT / "cortex" / "domains"
    profile, tests = "rehearsal-" + name.replace("_", "-"), f"test_{name}.py"
    targets = {
        "domain.py.txt": home / name / "__init__.py",
        "rehearsal.yaml.txt": (into or CHECKOUT / "jobs" / "profiles") / f"{profile}.yaml",
        "test_domain.py.txt": (into or CHECKOUT / "tests" / "domains" / name) / tests,
    }
    there = next((path for path in targets.values() if path.exists()), None)
    if there:
        raise UsageError(f"{there} is there: remove it, or choose another name than {name!r}")
    texts = {path: _filled(template, name, profile) for template, path in targets.items()}
    if into is None:
        texts[CHECKOUT / "tests" / "domains" / name / "__init__.py"] = ""
    for path, text in texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            for written in texts:
                with suppress(OSError):
                    written.unlink()
            raise UsageError(
                f"{path} cannot be written ({error.strerror}): free space, or choose another folder"
            ) from error
    return list(targets.values())


def _filled(template: str, name: str, profile: str) -> str:
    title = "".join(part.capitalize() for part in name.split("_"))
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    return text.replace("NAME", name).replace("TITLE", title).replace("PROFILE", profile)
