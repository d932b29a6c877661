"""The serve image's health check, against servers that answer over HTTP."""

import json
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cortex.settings import CHECKOUT

READY = CHECKOUT / "images" / "serve" / "ready.py"
MODELS = {"data": [{"id": "cortex-1"}]}


@contextmanager
def server(answers: dict[str, Any], key: str | None = None) -> Generator[str]:
    """A server that gives `answers` by path, to the holder of `key` alone if there is one; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            known = key is None or self.headers["Authorization"] == f"Bearer {key}"
            right = not body or json.loads(body) == {"model": "cortex-1", "prompt": "1", "max_tokens": 1}
            found = answers.get(self.path) if known and right else None
            self.send_response(200 if found is not None else 500)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{serving.server_port}"
    finally:
        serving.shutdown()
        serving.server_close()


def check(address: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {"CORTEX_SERVER": address, **variables}
    return subprocess.run([sys.executable, "-I", READY], env=environment, capture_output=True, text=True, check=False)


def written(tokens: int) -> dict[str, Any]:
    return {"/health": {}, "/v1/models": MODELS, "/v1/completions": {"usage": {"completion_tokens": tokens}}}


def test_a_server_that_writes_a_token_is_ready() -> None:
    with server(written(1)) as address:
        assert check(address).returncode == 0


def test_a_key_is_sent_where_there_is_one() -> None:
    with server(written(1), key="k") as address:
        assert check(address, VLLM_API_KEY="k").returncode == 0
        assert check(address).returncode == 1


@pytest.mark.parametrize(
    "answers",
    [
        {"/health": {}},
        {"/health": {}, "/v1/models": MODELS},
        {"/health": {}, "/v1/models": {"data": []}},
        {"/health": {}, "/v1/models": MODELS, "/v1/completions": {}},
        written(0),
    ],
    ids=["no models", "requests fail", "no model", "no usage", "no token"],
)
def test_health_alone_is_not_ready(answers: dict[str, Any]) -> None:
    with server(answers) as address:
        done = check(address)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{address} is not ready: ")
    assert "Traceback" not in done.stderr


def test_no_server_is_not_ready() -> None:
    with server({}) as address:
        pass
    done = check(address)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
