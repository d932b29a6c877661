"""MLflow, through its REST API (https://mlflow.org/docs/latest/rest-api.html): no image carries its package."""

import base64
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from cortex.errors import ConfigError, StageError
from cortex.limits import ANSWER_BYTES
from cortex.training.tracking.curve import Point
from cortex.training.tracking.tracker import Training
from cortex.urls import check_http_url

EXPERIMENT = "cortex"

CURVE_TAG = "cortex.training"
"""The tag by which another machine finds the curve that it continues."""

SECONDS = 10.0
"""How long an answer is waited for."""

BATCH = 1000
"""Metrics that the API takes at once."""


class MlflowError(StageError):
    """The server refused, or did not answer."""


class Mlflow:
    """A run of the experiment `cortex` at the server that MLFLOW_TRACKING_URI names."""

    def __init__(self, training: Training) -> None:
        """Raises ConfigError where no server is named."""
        try:
            self._url = check_http_url(os.environ.get("MLFLOW_TRACKING_URI", "")).rstrip("/")
        except ValueError as error:
            raise ConfigError(f"MLFLOW_TRACKING_URI: {error}") from error
        self._training = training
        self._run = ""

    def open(self) -> int:
        experiment = self._experiment()
        found = self._ask(
            "POST",
            "runs/search",
            {"experiment_ids": [experiment], "filter": f"tags.`{CURVE_TAG}` = '{self._training.name}'"},
        ).get("runs")
        if not found:
            started = {
                "experiment_id": experiment,
                "run_name": self._training.name,
                "start_time": _milliseconds(time.time()),
                "tags": [{"key": CURVE_TAG, "value": self._training.name}],
            }
            self._run = self._ask("POST", "runs/create", started)["run"]["info"]["run_id"]
            return -1
        self._run = found[0]["info"]["run_id"]
        self._set_status("RUNNING")
        return max((int(metric["step"]) for metric in found[0]["data"].get("metrics", ())), default=-1)

    def draw(self, points: Sequence[Point]) -> None:
        metrics = [
            {"key": name, "value": value, "timestamp": _milliseconds(point.time), "step": point.step}
            for point in points
            for name, value in point.values.items()
        ]
        for start in range(0, len(metrics), BATCH):
            self._ask("POST", "runs/log-batch", {"run_id": self._run, "metrics": metrics[start : start + BATCH]})

    def close(self) -> None:
        self._set_status("FINISHED")

    def _set_status(self, status: str) -> None:
        self._ask("POST", "runs/update", {"run_id": self._run, "status": status})

    def _experiment(self) -> str:
        try:
            found = self._ask("GET", f"experiments/get-by-name?experiment_name={EXPERIMENT}", None)
        except MlflowError as error:
            if "RESOURCE_DOES_NOT_EXIST" not in str(error):
                raise
            return str(self._ask("POST", "experiments/create", {"name": EXPERIMENT})["experiment_id"])
        return str(found["experiment"]["experiment_id"])

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **_login()}
        request = urllib.request.Request(f"{self._url}/api/2.0/mlflow/{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                found = json.loads(answer.read(ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            raise MlflowError(
                f"{self._url} answers {error.code}: {error.read(300).decode(errors='replace')}"
            ) from error
        except (OSError, ValueError) as error:
            raise MlflowError(f"{self._url}: {error}") from error
        if not isinstance(found, dict):
            raise MlflowError(f"{self._url} is no MLflow server: it answers {path} with {str(found)[:80]!r}")
        return found


def _login() -> dict[str, str]:
    """As MLflow's own client logs in: by token, or by name and password."""
    token, user = os.environ.get("MLFLOW_TRACKING_TOKEN"), os.environ.get("MLFLOW_TRACKING_USERNAME")
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user:
        words = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}".encode()
        return {"Authorization": f"Basic {base64.b64encode(words).decode()}"}
    return {}


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
