"""MLflow, through its REST API: a real server where its package is installed, and one that fails on purpose."""

import csv
import io
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cortex.errors import ConfigError
from cortex.profiles.profile import Profile
from cortex.settings import Settings
from cortex.tracking.curve import Point
from cortex.tracking.feed import Feed
from cortex.tracking.mlflow import Mlflow
from cortex.tracking.mlflow_api import MlflowApi, MlflowError
from cortex.tracking.sample_tables import Rows
from cortex.tracking.tracker import Training
from tests.conftest import EXPECTED
from tests.fleet.services import Answer, Request, serving

pytestmark = pytest.mark.integration

PROGRAM = os.environ.get("CORTEX_TEST_MLFLOW") or shutil.which("mlflow")


@pytest.fixture
def training(tmp_path: Path, profile: Profile) -> Training:
    return Training("run-1", "sft", profile, tmp_path / "kept", tmp_path / "scratch")


def point(step: int) -> Point:
    return Point(step, 1.7e9 + step, {"loss": 1 / step, "reward/format": 0.5})


class Server:
    """The calls that a curve needs, as MLflow answers them. While it is `down`, it answers 503."""

    def __init__(self) -> None:
        self.down = False
        self.runs: dict[str, dict[str, Any]] = {}
        self.metrics: list[dict[str, Any]] = []
        self.artifacts = "mlflow-artifacts:/1/r/artifacts"
        self.files: dict[str, bytes] = {}
        self.asked = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({}, self.path.partition("?")[0])

            def do_PUT(self) -> None:
                server.files[self.path.removeprefix("/api/2.0/")] = self.rfile.read(int(self.headers["Content-Length"]))
                self._answer({}, "/api/2.0/mlflow/put")

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(body, self.path)

            def _answer(self, body: dict[str, Any], path: str) -> None:
                server.asked += 1
                code, told = (503, {}) if server.down else server.answer(path.removeprefix("/api/2.0/mlflow/"), body)
                data = json.dumps(told).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def answer(self, call: str, body: dict[str, Any]) -> tuple[int, Any]:
        calls = {
            "experiments/get-by-name": lambda: (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}),
            "experiments/create": lambda: (200, {"experiment_id": "1"}),
            "put": lambda: (200, {}),
            "runs/search": lambda: (200, {"runs": list(self.runs.values())}),
            "runs/create": self._create,
            "runs/log-batch": lambda: self._log(body["metrics"]),
            "runs/update": lambda: self._update(body["status"]),
        }
        return calls[call]()

    def _create(self) -> tuple[int, Any]:
        self.runs["r"] = {"info": {"run_id": "r", "artifact_uri": self.artifacts}, "data": {}}
        return 200, {"run": self.runs["r"]}

    def _log(self, metrics: list[dict[str, Any]]) -> tuple[int, Any]:
        self.metrics += metrics
        latest = {metric["key"]: metric for metric in self.metrics}
        self.runs["r"]["data"] = {"metrics": list(latest.values())}
        return 200, {}

    def _update(self, status: str) -> tuple[int, Any]:
        self.runs["r"]["info"]["status"] = status
        return 200, {}

    def steps(self) -> list[int]:
        return [metric["step"] for metric in self.metrics if metric["key"] == "loss"]

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", made.url)
    yield made
    made.close()


def wait_until(condition: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_server_that_is_down_is_told_once_and_caught_up_with(server: Server, training: Training, capsys: Any) -> None:
    told: list[str] = []
    feed = Feed("mlflow", lambda: Mlflow(training), list, lambda event, **_: told.append(event), retries=(0.05,))
    feed.start()
    feed.add(point(1))
    wait_until(lambda: server.steps() == [1])
    server.down = True
    asked = server.asked
    for step in range(2, 300):
        feed.add(point(step))
    wait_until(lambda: server.asked > asked + 4)
    assert told == ["tracker_fails"]
    server.down = False
    wait_until(lambda: server.steps()[-1] == 299)
    assert server.steps() == list(range(1, 300)), "each step once"
    assert feed.close(10) == 0
    assert told == ["tracker_fails", "tracker_answers"]
    assert server.runs["r"]["info"]["status"] == "FINISHED"
    assert "mlflow answers again" in capsys.readouterr().out


def test_what_a_dead_server_never_took_is_counted_and_holds_nobody_up(server: Server, training: Training) -> None:
    server.close()
    feed = Feed("mlflow", lambda: Mlflow(training), list, lambda *_, **__: None, retries=(0.05,))
    feed.start()
    for step in range(1, 11):
        feed.add(point(step))
    began = time.monotonic()
    assert feed.close(2) == 10
    assert time.monotonic() - began < 3


def test_another_machine_goes_on_with_the_same_curve(server: Server, training: Training) -> None:
    for history, steps in (([], range(1, 6)), ([point(step) for step in range(1, 4)], range(4, 9))):
        feed = Feed("mlflow", lambda: Mlflow(training), lambda kept=history: kept, lambda *_, **__: None)
        feed.start()
        for step in steps:
            feed.add(point(step))
        assert feed.close(10) == 0
    # It continued from the checkpoint of step 3, and the repeated steps are drawn already.
    assert server.steps() == list(range(1, 9))
    assert len(server.runs) == 1


def sampled(point: Point) -> Rows:
    return [{"prompt": 'a, "b"\nc', "completion": "=1", "reward": 0.5}] if point.step == 2 else []


def test_answers_are_a_table_of_the_run_once_however_often_they_are_drawn(server: Server, training: Training) -> None:
    points = [replace(point(step), samples=f"train-{step:08d}.jsonl") for step in (1, 2, 3)]
    for _ in range(2):
        tracker = Mlflow(replace(training, rows=sampled))
        tracker.open()
        tracker.draw(points)
    [(path, data)] = server.files.items()
    assert path == "mlflow-artifacts/artifacts/1/r/artifacts/samples/train-00000002.csv"
    assert list(csv.DictReader(io.StringIO(data.decode()))) == [
        {"prompt": 'a, "b"\nc', "completion": "=1", "reward": "0.5"}
    ]


def test_a_server_that_keeps_artifacts_elsewhere_gets_figures_alone(server: Server, training: Training) -> None:
    server.artifacts = "s3://elsewhere/1/r/artifacts"
    tracker = Mlflow(replace(training, rows=sampled))
    tracker.open()
    tracker.draw([replace(point(2), samples="train-00000002.jsonl")])
    assert server.files == {} and server.steps() == [2]


def test_a_login_goes_over_tls_or_stays_on_this_machine(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    login = {"MLFLOW_TRACKING_TOKEN": "hush"}
    assert MlflowApi({"MLFLOW_TRACKING_URI": server.url, **login}, Settings()).url == server.url
    elsewhere = {"MLFLOW_TRACKING_URI": "http://mlflow.example:5000", **login}
    with pytest.raises(ConfigError, match=r"would travel to http://mlflow\.example:5000 over plain HTTP") as caught:
        MlflowApi(elsewhere, Settings())
    assert "hush" not in str(caught.value) and "CORTEX_TEACHER_PLAIN_HTTP=1" in str(caught.value)
    assert MlflowApi({"MLFLOW_TRACKING_URI": "http://mlflow.example:5000"}, Settings()), (
        "without a login nothing is told"
    )
    monkeypatch.setenv("CORTEX_TEACHER_PLAIN_HTTP", "1")
    assert MlflowApi(elsewhere, Settings())


def test_a_login_follows_no_redirection_to_another_host() -> None:
    asked: list[str] = []

    def other(request: Request) -> Answer:
        asked.append(request.authorization)
        return 200, {}, b"{}"

    with serving(other) as elsewhere, serving(lambda request: (302, {"Location": f"{elsewhere}/x"}, b"")) as url:
        api = MlflowApi({"MLFLOW_TRACKING_URI": url, "MLFLOW_TRACKING_TOKEN": "hush"}, Settings())
        with pytest.raises(MlflowError, match=f"answers 302: it points to '{elsewhere}/x': name the server itself"):
            api.ask("GET", "mlflow/experiments/search")
    assert asked == []


def test_a_key_that_a_server_sends_back_is_in_neither_ledger_nor_log(
    training: Training, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    reasons: list[str] = []
    with serving(lambda request: (401, {}, f"unknown {request.authorization}".encode())) as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hush-hush")
        feed = Feed("mlflow", lambda: Mlflow(training), list, lambda event, **values: reasons.append(values["reason"]))
        feed.start()
        feed.add(point(1))
        wait_until(lambda: reasons)
        assert feed.close(5) == 1
    shown = capsys.readouterr()
    assert "unknown Bearer $MLFLOW_TRACKING_TOKEN" in reasons[0]
    assert "hush-hush" not in reasons[0] + shown.out + shown.err


@pytest.mark.parametrize("address", ["", "localhost:5000", "ftp://host", "http://host:99999"])
def test_an_address_that_cannot_be_one_is_told_with_its_variable(
    address: str, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_URI"):
        Mlflow(training)


def test_a_server_that_is_no_mlflow_is_an_error_of_one_line(
    server: Server, training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "answer", lambda *_: (200, ["no", "object"]))
    with pytest.raises(MlflowError, match="is no MLflow server"):
        Mlflow(training).open()


@pytest.mark.skipif(PROGRAM is None, reason=f"{EXPECTED}mlflow is not installed: `pip install mlflow`")
def test_a_real_server_shows_one_curve(training: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    command = [str(PROGRAM), "server", "--port", str(port), "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db"]
    process = subprocess.Popen([*command, "--workers", "1"], cwd=tmp_path, start_new_session=True)
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                break
            time.sleep(0.5)
        for last in (5, 8):
            tracker = Mlflow(replace(training, rows=sampled))
            had = tracker.open()
            points = [replace(point(step), samples=f"train-{step:08d}.jsonl") for step in range(1, last + 1)]
            tracker.draw([point for point in points if point.step > had])
            tracker.close()
        run = Mlflow(training)
        assert run.open() == 8
        query = f"mlflow/metrics/get-history?run_id={run._run}&metric_key=loss"
        history = run._api.ask("GET", query)["metrics"]
        assert [(metric["step"], metric["value"]) for metric in history] == [(step, 1 / step) for step in range(1, 9)]
        files = run._api.ask("GET", f"mlflow/artifacts/list?run_id={run._run}&path=samples")["files"]
        assert [file["path"] for file in files] == ["samples/train-00000002.csv"]
    finally:
        os.killpg(process.pid, 15)
        process.wait()
