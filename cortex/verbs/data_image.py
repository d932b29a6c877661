"""Verbs whose clients of live services this program's environment lacks: run in the data image's environment."""

import importlib.util
import os
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cortex.domains.domain import Domain
    from cortex.settings import Settings


def lacks_clients(domain: "Domain") -> bool:
    """True where a package with which the domain asks its sources is not installed here."""
    return any(importlib.util.find_spec(name) is None for name in domain.clients())


def run_in_data_image(words: Sequence[str], settings: "Settings") -> int:
    """Run a verb in the data image's environment, and return its exit code."""
    from cortex.local.environments import environment, on_path

    folder = environment("data", settings)
    variables = {**os.environ, **on_path(folder), "CORTEX_HOME": str(settings.home.absolute())}
    return subprocess.run([folder / "bin" / "python", "-m", "cortex", *words], env=variables, check=False).returncode


def set_options(sets: Sequence[str] | None) -> list[str]:
    """The command line's words for values of a profile."""
    return [word for one in sets or () for word in ("--set", one)]
