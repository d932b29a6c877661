"""Trackers that use their own packages from an image: Weights & Biases, and Trackio."""

import importlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from cortex.errors import ConfigError
from cortex.settings import Settings
from cortex.teaching.key_way import KEEP_PRIVATE, variable_laid_open
from cortex.tracking.curve import Point
from cortex.tracking.sample_tables import table_name
from cortex.tracking.tracker import Training

PROJECT = "cortex"

WANDB_URL = "https://api.wandb.ai"
"""The server that the package uses where WANDB_BASE_URL is not set."""


class Wandb:
    """A run of the project `cortex`, under an id of ours, so that a resumed training continues it."""

    def __init__(self, training: Training) -> None:
        """Raises ConfigError where its package is missing, or others could read its key on the way."""
        self._training = training
        wandb_server(os.environ, Settings())
        self._wandb = _package("wandb")
        self._run: Any = None

    def open(self) -> int:
        training = self._training
        # Offline, its files are the only copy and are kept; otherwise the server has the same data.
        folder = training.folder if os.environ.get("WANDB_MODE") == "offline" else training.scratch
        folder.mkdir(parents=True, exist_ok=True)
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            id=training.name,
            name=training.name,
            group=training.run,
            resume="allow",
            dir=str(folder),
            config=training.profile.model_dump(mode="json"),
            settings=self._wandb.Settings(console="off", silent=True, init_timeout=30),
        )
        return int(self._run.step) - 1 if self._run.resumed else -1

    def draw(self, points: Sequence[Point]) -> None:
        for point in points:
            shown: dict[str, Any] = {**point.values, "_timestamp": point.time}
            rows = self._training.rows(point)
            if rows:
                lines = [list(row.values()) for row in rows]
                shown[table_name(point)] = self._wandb.Table(columns=list(rows[0]), data=lines, allow_mixed_types=True)
            self._run.log(shown, step=point.step)

    def close(self) -> None:
        self._run.finish()


class Trackio:
    """A run of the project `cortex`, on this machine or in the Space that TRACKIO_SPACE_ID names."""

    def __init__(self, training: Training) -> None:
        self._training = training
        os.environ.setdefault("TRACKIO_DIR", str(training.folder / "trackio"))
        self._trackio = _package("trackio")
        self._run: Any = None

    def open(self) -> int:
        space = os.environ.get("TRACKIO_SPACE_ID") or None
        last = max((int(entry.get("step") or 0) for entry in self._logged()), default=-1)
        self._run = self._trackio.init(
            project=PROJECT,
            name=self._training.name,
            group=self._training.run,
            space_id=space,
            resume="allow",
            embed=False,
            auto_log_gpu=False,
        )
        return last_step_there(space, self._training.name) if space else last

    def draw(self, points: Sequence[Point]) -> None:
        for point in points:
            shown: dict[str, Any] = dict(point.values)
            rows = self._training.rows(point)
            if rows:
                shown[table_name(point)] = self._trackio.Table(data=rows)
            self._run.log(shown, step=point.step)

    def close(self) -> None:
        self._trackio.finish()

    def _logged(self) -> list[dict[str, Any]]:
        storage = importlib.import_module("trackio.sqlite_storage").SQLiteStorage
        return storage.get_logs(PROJECT, self._training.name) or []


def last_step_there(space: str, run: str) -> int:
    """The last step of a run that a Trackio Space, or a server at an address, has; -1 for none.

    Only the server knows what a machine that is gone has drawn.
    """
    client = importlib.import_module("trackio.remote_client").RemoteClient(space, hf_token=os.environ.get("HF_TOKEN"))
    last = client.predict(PROJECT, run, api_name="/get_run_summary").get("last_step")
    return -1 if last is None else int(last)  # older servers answer with a text


def wandb_server(environment: Mapping[str, str], settings: Settings) -> str:
    """The address of the server that Weights & Biases' key is sent to.

    Raises:
        ConfigError: others could read the key on its way there.
    """
    url = (environment.get("WANDB_BASE_URL") or WANDB_URL).rstrip("/")
    fault = variable_laid_open("WANDB_API_KEY", url, settings) if environment.get("WANDB_API_KEY") else None
    if fault:
        raise ConfigError(f"WANDB_BASE_URL: {fault}: {KEEP_PRIVATE}")
    return url


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"tracking: {name} is not in this stage's image: add it to its requirements.in and `make locks`, or take "
            "tensorboard or mlflow, which need no package"
        ) from error
