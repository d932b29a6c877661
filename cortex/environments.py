"""Environments of the images, on this machine: a venv made from an image's CPU lock, named by the lock's hash."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from cortex.errors import ConfigError, StageError
from cortex.section import nearest
from cortex.settings import CHECKOUT, Settings

IMAGES = CHECKOUT / "images"
OVERRIDES = "overrides.txt"
"""Beside an image's requirements: pins of its packages that do not hold here, be it for the lock or for installing."""
_COMPLETE = "complete"


def cpu_lock(image: str) -> Path:
    """An image's lock for machines without a GPU.

    Raises:
        ConfigError: there is no such image.
    """
    path = IMAGES / image / "requirements.cpu.lock"
    if not path.is_file():
        known = sorted(lock.parent.name for lock in IMAGES.glob("*/requirements.cpu.lock"))
        raise ConfigError(f"no image {image!r}: {nearest(image, known)}")
    return path


def environment(image: str, settings: Settings) -> Path:
    """The folder of an image's venv. It is made on first use; a half-made one is never taken for whole.

    Packages come from the index, and from UV_FIND_LINKS or PIP_FIND_LINKS where given. A file whose hash is not in the
    lock is refused; for torch the lock has none, since its CPU wheel differs from one index to another.

    Raises:
        StageError: uv could not install what the lock names, or a file is not the one that it names.
    """
    lock, name = cpu_lock(image), _name(image)
    settings.environments.mkdir(parents=True, exist_ok=True)
    # Its programs name the place that they were installed at: a link to it may be gone tomorrow.
    root = settings.environments.resolve()
    folder = root / name
    with (root / f"{name}.lock").open("w", encoding="utf-8") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / _COMPLETE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            _uv("venv", "--python", sys.executable, folder)
            # Compiled now: where it is read only, or PYTHONDONTWRITEBYTECODE is set, every process would compile it.
            # What comes as sources is built with the lock's own versions, whose hashes are checked like all others.
            locked = ("--requirement", lock, "--build-constraints", lock)
            overrides = lock.with_name(OVERRIDES)
            if overrides.is_file():
                locked += ("--overrides", overrides)
            _uv("pip", "install", "--compile-bytecode", "--python", folder / "bin" / "python", *locked)
            (folder / _COMPLETE).touch()
    return folder


def existing_environment(image: str, settings: Settings) -> Path | None:
    """The folder of an image's venv if it is whole; None where it would first have to be made."""
    folder = settings.environments.resolve() / _name(image)
    return folder if (folder / _COMPLETE).exists() else None


def on_path(folder: Path) -> dict[str, str]:
    """Variables under which programs run in an environment, with this checkout's code."""
    return {
        "VIRTUAL_ENV": str(folder),
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
    }


def _name(image: str) -> str:
    return f"{image}-{hashlib.sha256(cpu_lock(image).read_bytes()).hexdigest()[:12]}"


def _uv(*arguments: str | Path) -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise ConfigError("uv is not installed: run `make setup`")
    variables = dict(os.environ)
    if "PIP_FIND_LINKS" in variables:
        variables.setdefault("UV_FIND_LINKS", variables["PIP_FIND_LINKS"])
    done = subprocess.run(
        [uv, "--quiet", *map(str, arguments)],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    if done.returncode:
        raise StageError(f"uv {arguments[0]} failed: {' '.join(done.stderr.split())[-600:]}")
