"""Where the stages of a rehearsal run on this machine: each image's place, and how programs of the kit start there."""

import os
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from cortex.artifacts.store import Store
from cortex.environments import environment, on_path
from cortex.process import running
from cortex.settings import Settings


class Place(Protocol):
    """What an image's stages run in."""

    def running(self, words: Sequence[str], output: IO[Any]) -> AbstractContextManager["subprocess.Popen[str]"]:
        """Start `cortex WORDS...` there; leaving the block ends it, by SIGTERM first. All it says goes to `output`."""
        ...


class Places(Protocol):
    """One kind of place."""

    @property
    def kind(self) -> str:
        """What one is called, before the image's name."""
        ...

    @property
    def at_once(self) -> int:
        """How many are made at the same time: those that are asked for first come first."""
        ...

    def check(self) -> None:
        """Find what would keep any place from being made.

        Raises:
            ConfigError: what it is, and what mends it.
        """
        ...

    def make(self, image: str) -> Place:
        """An image's place, ready: made now where it is not there yet; several threads may ask.

        Raises:
            CortexError: it cannot be made.
        """
        ...


@dataclass(frozen=True)
class Venv:
    """An environment made from an image's CPU lock, with this checkout's code."""

    folder: Path
    store: Store
    settings: Settings

    def running(self, words: Sequence[str], output: IO[Any]) -> AbstractContextManager["subprocess.Popen[str]"]:
        variables = {
            **os.environ,
            **on_path(self.folder),
            "CORTEX_HOME": str(self.settings.home.absolute()),
            "CORTEX_BUCKET": self.store.url,
        }
        command = [self.folder / "bin" / "python", "-m", "cortex", *words]
        return running(command, env=variables, stdout=output, stderr=subprocess.STDOUT)


@dataclass(frozen=True)
class Venvs:
    """Places that need nothing but Python."""

    store: Store
    settings: Settings
    kind: str = "environment"
    at_once: int = 2

    def check(self) -> None:
        pass

    def make(self, image: str) -> Venv:
        return Venv(environment(image, self.settings), self.store, self.settings)
