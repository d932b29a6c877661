"""The gateway as a program, in front of the real vLLM on this machine's CPU."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2

from cortex.serving.engine import free_port
from tests.rehearsal.conftest import Home


@contextmanager
def served(home: Home, words: Sequence[str], log: Path) -> Iterator[tuple[httpx2.Client, "subprocess.Popen[str]"]]:
    """A client of a gateway that is ready. `words` of its command line say what it serves."""
    port = free_port()
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(
            home.command("gateway", *words, "--port", str(port)),
            env=home.variables,
            stdout=said,
            stderr=said,
            text=True,
        )
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=300, trust_env=False) as client:
            end = time.monotonic() + 600
            while not _ready(client):
                assert process.poll() is None and time.monotonic() < end, log.read_text(encoding="utf-8")
                time.sleep(0.5)
            yield client, process
    finally:
        process.terminate()
        process.wait(timeout=120)


def _ready(client: httpx2.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx2.TransportError:
        return False
