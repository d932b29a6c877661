"""The commands of `jobs/teacher.yaml`, with a stand-in for vLLM that is healthy long before it can answer."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
import yaml

from cortex.settings import CHECKOUT

VLLM = """#!/usr/bin/env python3
import http.server, json, os, sys

assert os.environ["VLLM_API_KEY"] == "made-up" and "made-up" not in sys.argv
asked = 0

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, b"vllm:generation_tokens_total 1")

    def do_POST(self):
        global asked
        asked += 1
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        right = body["model"] == "some/model" and self.headers["Authorization"] == "Bearer made-up"
        if asked == {dies}:
            os._exit(3)
        self.answer(200 if asked > 2 and right else 500, b'{{"usage": {{"completion_tokens": 1}}}}')

    def answer(self, code, body):
        self.send_response(code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

http.server.HTTPServer(("", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


def serve(folder: Path, *, dies: int = 0, key: str = "made-up", **others: str) -> "subprocess.CompletedProcess[str]":
    if shutil.which("curl") is None:
        pytest.skip("expected: needs curl")
    for name, text in (
        ("vllm", VLLM.format(dies=dies)),
        ("sleep", "#!/bin/sh\nexec /bin/sleep 0.1\n"),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    task = yaml.safe_load((CHECKOUT / "jobs" / "teacher.yaml").read_text())
    variables = {**task["envs"], **task["secrets"], "TEACHER_MODEL": "some/model", "TEACHER_PORT": str(port)}
    variables |= {"IDLE_MINUTES": "2", "CORTEX_TEACHER_API_KEY": key, "SKYPILOT_NUM_GPUS_PER_NODE": "8"} | others
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", task["run"]],
        env={**os.environ, **variables, "PATH": path, "no_proxy": "localhost"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_it_is_ready_once_it_has_generated_a_token_and_ends_when_nobody_asks(tmp_path: Path) -> None:
    done = serve(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("teacher ready: CORTEX_TEACHER_URL=http://") and done.stdout.endswith("/v1\n")


def test_a_server_that_dies_before_it_answers_is_no_teacher(tmp_path: Path) -> None:
    done = serve(tmp_path, dies=2)
    assert done.returncode != 0 and "ready" not in done.stdout


def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    done = serve(tmp_path, START_MINUTES="0")
    assert done.returncode == 1 and "no token within 0 minutes: given up" in done.stderr and not done.stdout


def test_without_a_key_nothing_is_served(tmp_path: Path) -> None:
    done = serve(tmp_path, key="")
    assert done.returncode != 0 and "make up a key" in done.stderr
