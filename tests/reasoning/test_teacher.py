import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cortex.errors import ConfigError, StageError
from cortex.reasoning.scripted_teacher import Server, answer
from cortex.reasoning.teacher import Endpoint, ask, scripted_teacher

PROMPTS = {f"NEAR-{number}": f"NEAR 1d day{number} flow:{number % 5 - 2} range:2.8" for number in range(40)}


@dataclass
class Counted:
    """The scripted teacher's answers over HTTP, counted; from `fails_after` on it refuses, and each takes `seconds`."""

    fails_after: int | None = None
    seconds: float = 0.0
    asked: list[str] = field(default_factory=list)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        state = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                prompt = request["messages"][-1]["content"]
                state.asked.append(prompt)
                time.sleep(state.seconds)
                refuse = state.fails_after is not None and len(state.asked) > state.fails_after
                message = {"role": "assistant", "content": answer(prompt)}
                choices = [{"index": 0, "finish_reason": "stop", "message": message}]
                body: dict[str, object] = {"id": "1", "object": "chat.completion", "created": 0, "model": "m"}
                payload = json.dumps({"error": {"message": "no credit"}} if refuse else body | {"choices": choices})
                self.send_response(402 if refuse else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
                """Quiet."""

        return Handler


@pytest.fixture
def served() -> Iterator[tuple[Counted, Endpoint]]:
    counted = Counted()
    server = ThreadingHTTPServer(("127.0.0.1", 0), counted.handler())
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    yield counted, Endpoint(url, "none", "m", concurrency=4, temperature=0.7, max_tokens=64, retries=0)
    server.shutdown()
    server.server_close()


def test_the_scripted_teacher_answers_every_prompt_over_http(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with scripted_teacher(0, seed=3) as url:
        endpoint = Endpoint(url, "none", "scripted-teacher", concurrency=8, temperature=0.7, max_tokens=64)
        answers = ask(endpoint, PROMPTS, tmp_path / "answers.jsonl", lambda done, total: told.append((done, total)))
    assert answers == {example: answer(prompt, seed=3) for example, prompt in PROMPTS.items()}
    assert list(answers) == list(PROMPTS)
    assert told == [(done, 40) for done in range(1, 41)]


def test_what_was_answered_is_not_asked_again(served: tuple[Counted, Endpoint], tmp_path: Path) -> None:
    counted, endpoint = served
    kept = tmp_path / "answers.jsonl"
    first = dict(list(PROMPTS.items())[:25])
    ask(endpoint, first, kept, lambda *_: None)
    # A kill in the middle of a write leaves part of a line; an example whose prompt changed is another question.
    with kept.open("a") as torn:
        torn.write('{"example_id": "NEAR-30", "prompt": "NEA')
    changed = PROMPTS | {"NEAR-0": "NEAR 1d flow:+2"}
    assert set(ask(endpoint, changed, kept, lambda *_: None)) == set(PROMPTS)
    assert sorted(counted.asked) == sorted([*PROMPTS.values(), "NEAR 1d flow:+2"])
    assert ask(endpoint, changed, kept, lambda *_: None)["NEAR-0"] == answer("NEAR 1d flow:+2")
    assert len(counted.asked) == 41


def test_answers_that_came_before_sigkill_are_kept(served: tuple[Counted, Endpoint], tmp_path: Path) -> None:
    counted, endpoint = served
    counted.seconds = 0.02
    kept = tmp_path / "answers.jsonl"
    program = (
        "import json, sys; from pathlib import Path; from cortex.reasoning.teacher import Endpoint, ask;"
        "ask(Endpoint(**json.loads(sys.argv[1])), json.loads(sys.argv[2]), Path(sys.argv[3]), lambda *_: None)"
    )
    command = [sys.executable, "-c", program, json.dumps(vars(endpoint)), json.dumps(PROMPTS), str(kept)]
    with subprocess.Popen(command) as process:
        while len(counted.asked) < 16:
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert len(kept.read_text().splitlines()) >= 16 - 2 * endpoint.concurrency
    counted.seconds = 0
    asked = len(counted.asked)
    assert len(ask(endpoint, PROMPTS, kept, lambda *_: None)) == 40
    assert len(counted.asked) <= 40 + endpoint.concurrency  # what was under way at the kill is asked twice
    assert len(counted.asked) - asked < 40


def test_a_refusal_is_one_line_that_says_what_is_kept(served: tuple[Counted, Endpoint], tmp_path: Path) -> None:
    counted, endpoint = served
    counted.fails_after = 10
    kept = tmp_path / "answers.jsonl"
    with pytest.raises(StageError, match=r"no credit.*1?\d of 40 answers are kept") as raised:
        ask(endpoint, PROMPTS, kept, lambda *_: None)
    assert "\n" not in str(raised.value)
    assert f"{len(kept.read_text().splitlines())} of 40" in str(raised.value)


def test_a_server_that_is_down_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        endpoint = Endpoint(url, "none", "m", concurrency=2, temperature=0.7, max_tokens=64, retries=1)
        with pytest.raises(StageError, match=f"the teacher m at {url}: Connection error.*0 of 40"):
            ask(replace(endpoint), PROMPTS, tmp_path / "answers.jsonl", lambda *_: None)


def test_a_busy_port_is_a_fault_of_the_configuration() -> None:
    server = Server()
    port = server.server_address[1]
    try:
        with (
            pytest.raises(ConfigError, match=rf"port {port}: Address already in use; set teacher\.port to a free port"),
            scripted_teacher(int(port), seed=0),
        ):
            pass
    finally:
        server.server_close()
