"""The base of images in tests: the least of Debian with Python, made here, since no registry may be in reach."""

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.containers.engine import Engine
from tests.debian import MIRROR, SUITE, Debian

NAME = "cortex-base:tests"
PACKAGES = "ca-certificates,python3,python3-venv"


def base_image(engine: Engine, cache: Path) -> str:
    """Put the base into an engine, and return its name. Needs root unless the cache has it already.

    Raises:
        ConfigError: it cannot be made; the log in the cache says why.
    """
    cache.mkdir(parents=True, exist_ok=True)
    packed = cache / f"base-{hashlib.sha256(repr((SUITE, MIRROR, PACKAGES)).encode()).hexdigest()[:12]}.tar"
    with (cache / "base.lock").open("w") as guard, (cache / "base.log").open("ab") as log:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not packed.exists():
            _pack(packed, Debian(cache, log.fileno()))
    engine.said("import", packed, NAME)
    return NAME


def _pack(packed: Path, debian: Debian) -> None:
    folder, making = packed.with_name("base-making"), packed.with_suffix(".making")
    shutil.rmtree(folder, ignore_errors=True)
    debian.bootstrap(folder, PACKAGES)
    left_out = [f"--exclude=./{path}/*" for path in ("var/cache/apt", "var/lib/apt/lists", "var/log", "dev")]
    subprocess.run(["tar", "-C", folder, *left_out, "-cf", making, "."], check=True)
    making.rename(packed)
    shutil.rmtree(folder)
