"""Gateways that tests start as programs of their own, in front of an engine that does as it is told."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from cortex.serving.engine import free_port
from cortex.settings import CHECKOUT

HELLO = {"model": "rehearsal", "messages": [{"role": "user", "content": "hello"}]}
"""The body of a request that any engine answers."""


@dataclass
class Gateway:
    """A gateway at work, the folder of its first engine, and a client of it."""

    folder: Path
    port: int
    process: "subprocess.Popen[str]"
    headers: dict[str, str] = field(default_factory=dict[str, str])

    def client(self, **options: Any) -> httpx2.Client:
        return httpx2.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers=self.headers, timeout=30, trust_env=False, **options
        )

    def post(self, path: str, body: Any, **options: Any) -> httpx2.Response:
        with self.client() as client:
            return client.post(path, json=body, **options)

    def get(self, path: str) -> httpx2.Response:
        with self.client() as client:
            return client.get(path)

    def tell(self, fault: str, model: str = "") -> None:
        """Give the first model's engine a fault, or the named one's."""
        (self.folder / model / "fault").write_text(fault)

    def reply(self, text: str, model: str = "") -> None:
        """Let the first model's engine answer with this text, or the named one's."""
        (self.folder / model / "reply").write_text(text)

    @property
    def asked(self) -> list[str]:
        """Lines of the first engine's log."""
        return self.asked_of("")

    def asked_of(self, model: str) -> list[str]:
        """Lines of the log of a model's engine."""
        log = self.folder / model / "log"
        return log.read_text().splitlines() if log.exists() else []

    def said(self) -> str:
        """The gateway's own log."""
        return (self.folder / "gateway.log").read_text()

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        lines = [line for line in self.get("/metrics").text.splitlines() if line.startswith(name)]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def engine_process(self) -> int:
        """The number of the engine's process."""
        children = Path(f"/proc/{self.process.pid}/task")
        found = " ".join((thread / "children").read_text() for thread in children.iterdir()).split()
        return int(found[0])

    def end(self) -> int:
        """Ask it to end, and wait for its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def until(seen: Callable[[], bool], what: str, seconds: float = 20) -> float:
    """Wait until something is seen, and return the seconds that it took."""
    begun = time.monotonic()
    while not seen():
        assert time.monotonic() - begun < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - begun


def start(folder: Path, bucket: Path | None = None, words: Sequence[str] = (), **settings: object) -> Gateway:
    """A gateway whose engines have generated a token.

    `words` are further ones of its command line, and `settings` its own, without their prefix.
    """
    port = free_port()
    own = {"spot_notice": False, **settings}  # no address of a cloud is asked
    given = {f"CORTEX_SERVE_{name.upper()}": str(value) for name, value in own.items()}
    others = {name: value for name, value in os.environ.items() if not name.startswith("CORTEX_")}
    words = [sys.executable, "-m", "tests.serving.gateway_program", str(port), str(folder), *words]
    with (folder / "gateway.log").open("w") as log:
        process = subprocess.Popen(
            words + (["--bucket", str(bucket)] if bucket else []),
            env=others | given,
            cwd=CHECKOUT,
            text=True,
            stdout=log,
            stderr=log,
        )
    gateway = Gateway(folder, port, process)

    def ready() -> bool:
        assert process.poll() is None, gateway.said()
        try:
            return gateway.get("/readyz").status_code == 200
        except httpx2.TransportError:
            return False

    until(ready, "a gateway that is ready", 60)
    return gateway


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that all tests of a module use, without keys."""
    gateway = start(tmp_path_factory.mktemp("gateway"), request_seconds=3, body_seconds=1, body_bytes=20_000)
    yield gateway
    gateway.process.kill()
    gateway.process.wait()


@pytest.fixture
def gateway(shared: Gateway) -> Gateway:
    """The shared gateway, its engine well again."""
    shared.tell("")
    shared.reply(" ".join(map(str, range(10))))
    (shared.folder / "log").unlink(missing_ok=True)
    until(lambda: shared.get("/readyz").status_code == 200, "an engine that is well again", 30)
    return shared


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Start gateways of a test's own."""
    made: list[Gateway] = []

    def begin(**options: Any) -> Gateway:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(start(folder, **options))
        return made[-1]

    yield begin
    for each in made:
        each.process.kill()
        each.process.wait()


def events(text: str) -> list[Any]:
    """The events of a stream, read; the last is `[DONE]`."""
    data = [part.removeprefix("data: ") for part in text.split("\n\n") if part]
    return [part if part == "[DONE]" else json.loads(part) for part in data]
