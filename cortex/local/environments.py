"""The images' environments on this machine: venvs made from an image's CPU lock, and named by the lock's hash."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from cortex.errors import ConfigError, StageError
from cortex.section import nearest
from cortex.settings import CHECKOUT, Settings

IMAGES = CHECKOUT / "images"
OVERRIDES = "overrides.txt"
"""A file beside an image's requirements: versions that replace its packages' own pins, in the lock and on install."""
PYTHON, USUAL_PYTHON = "python", "3.11"
"""A file beside an image's requirements: the version of Python that its packages need, where that is not the usual."""
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


def python_version(image: str) -> str:
    """The version of Python that an image's packages run on, such as 3.11."""
    named = IMAGES / image / PYTHON
    return named.read_text(encoding="utf-8").strip() if named.is_file() else USUAL_PYTHON


def find_python(image: str) -> str | None:
    """The interpreter for an image's environment: this one, or another of the version that it needs; None if none."""
    version = python_version(image)
    if version == USUAL_PYTHON:
        return sys.executable
    # pyenv's programs on the PATH are of no version but that which is chosen there.
    found = _uv("python", "find", "--no-python-downloads", version, further={"PYENV_VERSION": version})
    return found.stdout.strip() if found.returncode == 0 else None


def environment(image: str, settings: Settings) -> Path:
    """The folder of an image's venv, made on first use. A half-made one is never used: it is made anew.

    Packages come from the index, and from UV_FIND_LINKS or PIP_FIND_LINKS where given. A file whose hash is not in the
    lock is refused; for torch the lock has none, since its CPU wheel differs from one index to another.

    Raises:
        ConfigError: there is no such image, or it needs a version of Python that is not on this machine.
        StageError: uv could not install the lock's packages, or a file's hash is not in the lock.
    """
    lock, name = cpu_lock(image), _folder_name(image)
    settings.environments.mkdir(parents=True, exist_ok=True)
    # Resolved, since the venv's programs hold their own absolute path, and a link on it may be removed later.
    root = settings.environments.resolve()
    folder = root / name
    with (root / f"{name}.lock").open("w", encoding="utf-8") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / _COMPLETE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            python = find_python(image)
            if python is None:
                version = python_version(image)
                raise ConfigError(
                    f"the packages of images/{image} need Python {version}, which is not on this machine: install it "
                    f"(`uv python install {version}`, or your system's package)"
                )
            _run_uv("venv", "--python", python, folder)
            # Source packages are built with the lock's own versions, whose hashes are checked like all others.
            locked = ("--requirement", lock, "--build-constraints", lock)
            overrides = lock.with_name(OVERRIDES)
            if overrides.is_file():
                locked += ("--overrides", overrides)
            # A first import compiles what is used; all 16,000 files of one image take 45 s of a core. Where Python
            # may not write what it compiles, each process would compile it again.
            compiled = ("--compile-bytecode",) if sys.dont_write_bytecode else ()
            _run_uv("pip", "install", *compiled, "--python", folder / "bin" / "python", *locked)
            (folder / _COMPLETE).touch()
    return folder


def existing_environment(image: str, settings: Settings) -> Path | None:
    """The folder of an image's venv if it is complete; None where it would first have to be made."""
    folder = settings.environments.resolve() / _folder_name(image)
    return folder if (folder / _COMPLETE).exists() else None


def on_path(folder: Path) -> dict[str, str]:
    """The variables with which programs run in an environment, on this checkout's code."""
    return {
        "VIRTUAL_ENV": str(folder),
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
    }


def _folder_name(image: str) -> str:
    return f"{image}-{hashlib.sha256(cpu_lock(image).read_bytes()).hexdigest()[:12]}"


def _run_uv(*arguments: str | Path) -> None:
    done = _uv("--quiet", *arguments)
    if done.returncode:
        raise StageError(f"uv {arguments[0]} failed: {' '.join(done.stderr.split())[-600:]}")


def _uv(*arguments: str | Path, further: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise ConfigError("uv is not installed: run `make setup`")
    variables = {**os.environ, **(further or {})}
    if "PIP_FIND_LINKS" in variables:
        variables.setdefault("UV_FIND_LINKS", variables["PIP_FIND_LINKS"])
    return subprocess.run(
        [uv, *map(str, arguments)],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
