"""Places where a rehearsal's stages run on this machine: a venv or a container for each image."""

import os
import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from cortex.artifacts.store import Store
from cortex.local.environments import environment, on_path
from cortex.process import running
from cortex.settings import Settings


class Place(Protocol):
    """The environment that an image's stages run in."""

    def running(self, words: Sequence[str], output: IO[Any]) -> AbstractContextManager["subprocess.Popen[str]"]:
        """Start `cortex WORDS...` there; leaving the block ends it, by SIGTERM first. Its output goes to `output`."""
        ...


class Places(Protocol):
    """Makes places of one kind."""

    @property
    def kind(self) -> str:
        """The word for such a place in messages, before the image's name."""
        ...

    @property
    def at_once(self) -> int:
        """Places that are made at the same time, in the order in which they are asked for."""
        ...

    def check(self) -> None:
        """Check that places can be made.

        Raises:
            ConfigError: they cannot; the message says why, and the fix.
        """
        ...

    def make(self, image: str) -> Place:
        """An image's place, ready to use; made now if it does not exist yet. May be called from several threads.

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
    """Makes venvs, which need nothing but Python."""

    store: Store
    settings: Settings
    kind: str = "environment"
    at_once: int = 2

    def check(self) -> None:
        pass

    def make(self, image: str) -> Venv:
        return Venv(environment(image, self.settings), self.store, self.settings)
