"""Environment variables of the kit and of all programs that it starts: set once, when a program begins."""

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

SKY_CONFIG = "SKYPILOT_PROJECT_CONFIG"
"""Names SkyPilot's project configuration, which it would otherwise look for in the working folder alone."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Names of this machine: a proxy would connect to itself instead."""


def complete_environment(environment: MutableMapping[str, str]) -> None:
    """Add the variables that are missing.

    Loopback is excepted from proxies, and caches go to a folder that can be written. Programs that were installed with
    the kit are found after the user's own: SkyPilot calls `aws`, and takes AWS for not installed without it. SkyPilot
    finds the configuration that `make infra-up` wrote in the checkout, from whichever folder it is called.
    """
    environment["PATH"] = _with_own_programs(environment.get("PATH", os.defpath))
    if (ROOT / ".sky.yaml").exists():
        environment.setdefault(SKY_CONFIG, str(ROOT / ".sky.yaml"))
    environment.update({name: _with_loopback(environment.get(name, "")) for name in _proxy_exceptions(environment)})
    if not _can_make(_user_caches(environment)):
        home = Path(environment.get("CORTEX_HOME") or ROOT / ".cortex")
        environment["XDG_CACHE_HOME"] = str(home.absolute() / "cache")


def _with_own_programs(path: str) -> str:
    # The venv's own path, not that of the Python which its link leads to.
    own = str(Path(sys.executable).absolute().parent)
    return path if own in path.split(os.pathsep) else os.pathsep.join((path, own))


def _proxy_exceptions(environment: MutableMapping[str, str]) -> list[str]:
    """The variables that list hosts to reach without a proxy: some programs read one of them, some the other."""
    given = [name for name in ("no_proxy", "NO_PROXY") if name in environment]
    return given or ["no_proxy", "NO_PROXY"]


def _with_loopback(listed: str) -> str:
    names = [name.strip() for name in listed.split(",") if name.strip()]
    if "*" in names:
        return listed
    return ",".join([*names, *(name for name in LOOPBACK if name not in names)])


def _user_caches(environment: MutableMapping[str, str]) -> Path:
    """The user's cache folder, by https://specifications.freedesktop.org/basedir-spec/latest/."""
    given = environment.get("XDG_CACHE_HOME")
    return Path(given) if given else Path(environment.get("HOME") or "/nonexistent") / ".cache"


def _can_make(folder: Path) -> bool:
    """Tell if a folder can be written, or made if it does not exist yet."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
