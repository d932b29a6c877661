"""Calls of Docker's command-line client."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cortex.errors import ConfigError, StageError

NO_ENGINE = ("cannot connect to the docker daemon", "is the docker daemon running", "error during connect")


def docker(*words: str | Path, given: bytes | None = None) -> str:
    """Run the client, with `given` as its input, and return its output.

    Raises:
        ConfigError: there is no client, or no engine behind it.
        StageError: the client failed; the message has the end of its error output.
    """
    done = subprocess.run(_command(words), input=given, capture_output=True, check=False)
    if done.returncode:
        raise _failure(words, done.stderr.decode(errors="replace"))
    return done.stdout.decode().strip()


def docker_aloud(*words: str | Path) -> None:
    """Run the client for slow work, with its progress on this program's stderr.

    Raises:
        ConfigError: there is no client.
        StageError: the client failed, and has printed the reason.
    """
    if code := subprocess.run(_command(words), stdout=sys.stderr, check=False).returncode:
        raise StageError(f"docker {words[0]} failed with {code}: the lines above say why")


def _command(words: Sequence[str | Path]) -> list[str]:
    client = shutil.which("docker")
    if client is None:
        raise ConfigError("docker is not installed: install Docker Engine 20.10 or newer, which builds with BuildKit")
    return [client, *map(str, words)]


def _failure(words: Sequence[str | Path], said: str) -> ConfigError | StageError:
    if any(words in said.lower() for words in NO_ENGINE):
        return ConfigError("no Docker Engine answers: start it, or name one in DOCKER_HOST")
    return StageError(f"docker {' '.join(map(str, words[:2]))} failed: {' '.join(said.split())[-600:]}")
