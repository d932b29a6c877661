"""An engine under supervision: started, asked for a token, restarted when it dies, and ended with the gateway."""

import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from loguru import logger

from cortex.process import running
from cortex.serving.engine_log import hold, last_error, trim

Body = Mapping[str, Any]
"""The body of a request to an engine."""

PROBE_SECONDS = 2.0
"""Seconds between two probes. An answer to a user within that time counts as one."""

PROBE_PATIENCE = 4.0
"""Seconds that an engine without any other work may take for one token, once it has started."""

LONGEST_PAUSE = 30.0
"""Longest pause, in seconds, before an engine that dies again and again is started again."""

HUNG_SECONDS = 60.0
"""Seconds without a token after which an engine that had generated some is ended and started again."""

STEADY_SECONDS = 60.0
"""Seconds without a fault after which pauses begin with one second again."""


def free_port() -> int:
    """A port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


_GUARD = """
import os, sys
pipe = int(sys.argv[1])
if os.fork() == 0:
    os.read(pipe, 1)
    os.killpg(0, 9)
os.close(pipe)
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Becomes the engine, and leaves a process that kills the engine's group once nobody holds the pipe's other end. vLLM's
workers outlive the program that started them, and would keep the GPU's memory where a gateway is killed."""


@contextmanager
def _ending_with_us(words: Sequence[str]) -> Generator[tuple[list[str], int]]:
    """The command of an engine of which no process outlives this one, and the pipe that it needs."""
    pipe, ours = os.pipe()
    try:
        yield [sys.executable, "-c", _GUARD, str(pipe), *words], pipe
    finally:
        os.close(pipe)
        os.close(ours)


def in_words_of_vllm(body: Body) -> Body:
    """The body as it is: the gateway writes requests as vLLM reads them."""
    return body


@dataclass(frozen=True)
class EngineCommand:
    """A program that serves one model on a port of the loopback, OpenAI-compatible."""

    words: tuple[str, ...]
    variables: dict[str, str]
    """Its whole environment, less the key."""
    key_variable: str = "VLLM_API_KEY"
    """Variable from which it reads its key."""
    translate: Callable[[Body], Body] = in_words_of_vllm
    """Turns the body of a request for vLLM into one with the same meaning for this engine."""


class Engine:
    """One engine on the loopback. `ready` is true while it has just generated a token."""

    def __init__(self, name: str, command: EngineCommand, port: int, log: Path, *, busy: Callable[[], int]) -> None:
        """`busy` is the number of requests that it works on for users; `log` takes what the engine prints."""
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        self.key = secrets.token_urlsafe(32)
        """The key of this start, so that no other program on the machine can use the engine."""
        self.ready = False
        self.starts = 0
        self.translate = command.translate
        self._command, self._log, self._busy = command, log, busy
        self._answered = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the engine, and wait for its end."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def answered(self) -> None:
        """Note that a user has just had a token from it."""
        self._answered = time.monotonic()

    def _supervise(self) -> None:
        pause = 1.0
        while not self._over.is_set():
            begun = time.monotonic()
            try:
                ended = f"ended with {self._run_once()}"
            except OSError as error:  # a full disk, which may have room again later
                ended = f"could not be started: {error}"
            self.ready = False
            if self._over.is_set():
                return
            pause = 1.0 if time.monotonic() - begun > STEADY_SECONDS else min(2 * pause, LONGEST_PAUSE)
            logger.error(f"engine {self.name}: {ended}, starts again in {pause:g} s: {last_error(self._log)}")
            self._over.wait(pause)

    def _run_once(self) -> int | None:
        """Start the engine, and watch it until it ends or hangs. Returns its exit code."""
        self.starts += 1
        variables = {**self._command.variables, self._command.key_variable: self.key}
        headers = {"Authorization": f"Bearer {self.key}"}
        with (
            self._log.open("a", encoding="utf-8") as log,
            _ending_with_us(self._command.words) as (words, pipe),
            running(words, env=variables, stdout=log.fileno(), stderr=log.fileno(), pass_fds=(pipe,)) as process,
            httpx2.Client(base_url=self.url, headers=headers, timeout=PROBE_PATIENCE, trust_env=False) as client,
        ):
            hold(log.fileno())
            logger.info(f"engine {self.name}: starts, and prints to {self._log}")
            faults, hangs_from = 0, float("inf")
            while process.poll() is None and not self._over.is_set() and time.monotonic() < hangs_from:
                if self._generates(client):
                    faults, hangs_from = 0, float("inf")
                    if not self.ready:
                        logger.info(f"engine {self.name}: generates tokens at {self.url}")
                    self.ready = True
                elif self.ready:
                    # With work for users a probe may have to wait; twice in a row it is a fault all the same.
                    faults += 1
                    if faults > (1 if self._busy() else 0):
                        logger.error(f"engine {self.name}: generates no token within {PROBE_PATIENCE:g} s")
                        self.ready, hangs_from = False, time.monotonic() + HUNG_SECONDS
                with suppress(OSError):  # a full disk, or a log that somebody removed, ends no engine
                    trim(self._log)
                self._wait_for_exit(process.poll, PROBE_SECONDS if self.ready else 0.5)
            self.ready = False
            return process.poll()

    def _wait_for_exit(self, poll: Callable[[], int | None], seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and poll() is None and not self._over.wait(0.05):
            pass

    def _generates(self, client: httpx2.Client) -> bool:
        if self.ready and time.monotonic() - self._answered < PROBE_SECONDS:
            return True
        body = {"model": self.name, "prompt": "1", "max_tokens": 1, "temperature": 0}
        try:
            answer = client.post("/v1/completions", json=body)
            return answer.status_code == 200 and answer.json()["usage"]["completion_tokens"] >= 1
        except (httpx2.HTTPError, ValueError, LookupError, TypeError):
            return False
