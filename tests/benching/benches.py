"""Servers of known behaviour as programs of their own, and benches of them."""

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

from typer.testing import CliRunner, Result

from cortex.cli import app
from cortex.process import running
from cortex.settings import CHECKOUT

FIRST, BETWEEN, TOKENS = 0.05, 0.01, 20
"""A server's latencies in seconds, and the tokens of its answers."""


@contextmanager
def slow_server(**behaviour: Any) -> Generator[str]:
    """A server that behaves so; gives its address."""
    command = [sys.executable, "-m", "tests.benching.slow_server", json.dumps(behaviour)]
    with running(command, cwd=CHECKOUT, stdout=PIPE) as process:
        assert process.stdout
        yield process.stdout.readline().strip()


def bench(*words: str | Path) -> Result:
    """Run the verb; the kit's own errors are raised."""
    return CliRunner().invoke(app, ["bench", "serve", *map(str, words)], catch_exceptions=False)


def measure(url: str, *words: str | Path) -> Any:
    """The JSON of a bench of few requests."""
    few = ("--requests", "24", "--concurrency", "4", "--tokens-out", str(TOKENS), "--timeout", "5", "--json")
    done = bench(url, *few, *words)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def level(url: str, *words: str | Path) -> Any:
    """The figures of the one level of `measure`."""
    return measure(url, *words)["endpoints"][0]["levels"][0]
