"""MLflow: a stage's training as one run of its server."""

import csv
import io
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cortex.settings import Settings
from cortex.tracking.curve import Point
from cortex.tracking.mlflow_api import MlflowApi, MlflowError
from cortex.tracking.sample_tables import Rows
from cortex.tracking.tracker import Training

EXPERIMENT = "cortex"

CURVE_TAG = "cortex.training"
"""The tag by which another machine finds the curve that it continues."""

BATCH = 1000
"""Metrics that the API takes at once."""


class Mlflow:
    """A run of the experiment `cortex` at the server that MLFLOW_TRACKING_URI names."""

    def __init__(self, training: Training) -> None:
        """Raises ConfigError as `MlflowApi`."""
        self._api = MlflowApi(os.environ, Settings())
        self._training = training
        self._run, self._artifacts = "", ""

    def open(self) -> int:
        experiment = self._experiment()
        found = self._api.ask(
            "POST",
            "mlflow/runs/search",
            {"experiment_ids": [experiment], "filter": f"tags.`{CURVE_TAG}` = '{self._training.name}'"},
        ).get("runs")
        if not found:
            started = {
                "experiment_id": experiment,
                "run_name": self._training.name,
                "start_time": _milliseconds(time.time()),
                "tags": [{"key": CURVE_TAG, "value": self._training.name}],
            }
            self._take(self._api.ask("POST", "mlflow/runs/create", started)["run"]["info"])
            return -1
        self._take(found[0]["info"])
        self._set_status("RUNNING")
        return max((int(metric["step"]) for metric in found[0]["data"].get("metrics", ())), default=-1)

    def draw(self, points: Sequence[Point]) -> None:
        # Tables first: after an error everything is drawn again, which overwrites a table, but would double a metric.
        for point in points:
            rows = self._training.rows(point)
            if rows:
                self._write_table(f"samples/{Path(str(point.samples)).stem}.csv", rows)
        metrics = [
            {"key": name, "value": value, "timestamp": _milliseconds(point.time), "step": point.step}
            for point in points
            for name, value in point.values.items()
        ]
        for start in range(0, len(metrics), BATCH):
            body = {"run_id": self._run, "metrics": metrics[start : start + BATCH]}
            self._api.ask("POST", "mlflow/runs/log-batch", body)

    def close(self) -> None:
        self._set_status("FINISHED")

    def _take(self, info: dict[str, Any]) -> None:
        self._run, self._artifacts = info["run_id"], str(info.get("artifact_uri"))

    def _write_table(self, path: str, rows: Rows) -> None:
        """Put a table among the run's artifacts, where MLflow shows it; writing it again replaces the file.

        A server that stores artifacts elsewhere than on itself would need MLflow's client package: it gets no tables.
        """
        if not self._artifacts.startswith("mlflow-artifacts:/"):
            return
        table = io.StringIO()
        writer = csv.DictWriter(table, rows[0])
        writer.writeheader()
        writer.writerows(rows)
        root = urlsplit(self._artifacts).path.strip("/")
        self._api.put(f"mlflow-artifacts/artifacts/{root}/{path}", table.getvalue().encode(errors="replace"))

    def _set_status(self, status: str) -> None:
        self._api.ask("POST", "mlflow/runs/update", {"run_id": self._run, "status": status})

    def _experiment(self) -> str:
        try:
            found = self._api.ask("GET", f"mlflow/experiments/get-by-name?experiment_name={EXPERIMENT}")
        except MlflowError as error:
            if "RESOURCE_DOES_NOT_EXIST" not in str(error):
                raise
            return str(self._api.ask("POST", "mlflow/experiments/create", {"name": EXPERIMENT})["experiment_id"])
        return str(found["experiment"]["experiment_id"])


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
