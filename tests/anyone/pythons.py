"""The Pythons of this machine that the kit can be set up with."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

QUESTION = """
import ensurepip, json, sys  # without ensurepip, it can make no environment
print(json.dumps([*sys.version_info[:3], sys.base_prefix]))
"""
UNNEEDED = shutil.ignore_patterns("test", "site-packages", "__pycache__", "*.a", "share")
"""Files that a copied Python does without."""


@dataclass(frozen=True)
class Python:
    """An interpreter, and variables that it needs to run where it is."""

    version: tuple[int, int, int]
    prefix: Path
    variables: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def executable(self) -> Path:
        return self.prefix / "bin" / "python{}.{}".format(*self.version)

    def __str__(self) -> str:
        return ".".join(map(str, self.version))

    def copied(self, folder: Path) -> "Python":
        """A copy in a folder, for users who may not read this one, such as one in root's home."""
        shutil.copytree(self.prefix, folder, symlinks=True, ignore=UNNEEDED)
        # A Python in a shared library looks for it in the place that it was built for.
        return Python(self.version, folder, {"LD_LIBRARY_PATH": str(folder / "lib")})


def oldest_python(minor: str) -> Python | None:
    """The oldest of a minor version, which most likely lacks what the newest has; of 3.11, Debian 12's is 3.11.2."""
    found = [python for path in _candidates(minor) if (python := _ask(path))]
    return min(found, key=lambda python: python.version, default=None)


def _candidates(minor: str) -> Iterator[Path]:
    """Executables on the path, and those that pyenv keeps off it."""
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for folder in (*folders, *pyenv.glob(f"versions/{minor}.*/bin")):
        if (folder / f"python{minor}").exists():
            yield folder / f"python{minor}"


def _ask(path: Path) -> Python | None:
    """The Python of an executable, or of the environment that it belongs to."""
    done = subprocess.run([path, "-c", QUESTION], capture_output=True, encoding="utf-8", check=False, timeout=60)
    if done.returncode:
        return None
    *version, prefix = json.loads(done.stdout)
    python = Python((version[0], version[1], version[2]), Path(prefix))
    return python if python.executable.exists() else None
