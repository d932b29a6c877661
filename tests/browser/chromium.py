"""A headless Chromium: the machine's own, or Debian's, unpacked into a folder."""

import fcntl
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cortex.errors import ConfigError
from cortex.settings import Settings
from tests.debian import Debian

PACKAGE = "chromium-headless-shell"
PROGRAM = Path("usr/lib/chromium") / PACKAGE
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/pulseaudio")


@dataclass(frozen=True)
class Chromium:
    """A browser's program, and the variables that it needs."""

    program: str
    variables: Mapping[str, str] = field(default_factory=dict[str, str])


def find_chromium() -> Chromium:
    """The machine's own Chromium; else Debian's, which is brought once and kept.

    Raises:
        ConfigError: there is none, and none can be brought.
    """
    own = next(filter(None, map(shutil.which, (PACKAGE, "chromium", "google-chrome"))), None)
    if own:
        return Chromium(own)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ConfigError("there is no Chromium here, and bringing Debian's needs root and apt-get: install chromium")
    place = Settings().home.absolute() / "chromium"
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as guard, (place / "log").open("wb") as log:
        fcntl.flock(guard, fcntl.LOCK_EX)
        root = place / "root"
        if not (root / PROGRAM).exists():
            unpacked = place / "unpacked"
            shutil.rmtree(unpacked, ignore_errors=True)
            Debian(place, log.fileno()).unpack([PACKAGE], unpacked, with_needed=True)
            unpacked.rename(root)
    return Chromium(str(root / PROGRAM), {"LD_LIBRARY_PATH": ":".join(str(root / name) for name in LIBRARIES)})
