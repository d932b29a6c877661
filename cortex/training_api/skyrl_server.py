"""Tinker's API at a port of this machine: SkyRL's server, begun with all that earlier machines have kept."""

import shutil
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from loguru import logger
from skyrl.tinker import api
from skyrl.tinker.config import EngineConfig, config_to_argv
from sqlmodel import create_engine

from cortex.training_api.engine_program import open_kept
from cortex.training_api.skyrl_state import restore

App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]

LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Offer:
    """The model that a server trains, and the room that it has."""

    base: str
    """Name on the hub, or a folder."""
    gpus: int
    """GPUs that share the model; 0 on a machine without any."""
    adapters: int
    """Adapters that are in memory at the same time."""
    rank: int
    """The largest rank of an adapter."""
    micro_batch: int
    """Sequences of one forward pass; 0 for all of a request's."""

    def config(self, folder: Path) -> EngineConfig:
        """The offer in SkyRL's terms."""
        return EngineConfig(
            base_model=self.base,
            backend="jax",
            backend_config={
                "max_lora_adapters": self.adapters,
                "max_lora_rank": self.rank,
                "tensor_parallel_size": max(1, self.gpus),
                "train_micro_batch_size": self.micro_batch,
                "gradient_checkpointing": self.gpus > 0,
            },
            checkpoints_base=folder / "checkpoints",  # type: ignore[arg-type]
            database_url=f"sqlite:///{folder / 'tinker.db'}",
        )


def serve(service: str, offer: Offer, folder: Path, *, host: str, port: int, idle_seconds: float) -> None:
    """Serve until SIGTERM or SIGINT, or until no client has asked for `idle_seconds`; 0 waits for ever.

    `folder` is emptied first: what lasts is in the bucket.

    Raises:
        StoreError: the bucket does not answer.
        VerificationError: a kept checkpoint is not what its manifest says.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = offer.config(folder)
    database = create_engine(config.database_url)
    count = restore(database, open_kept(service, folder / "checkpoints"), folder / "checkpoints")
    database.dispose()
    logger.info(f"service {service} of {offer.base}: {count} kept checkpoints are here")
    api.app.state.engine_config = config
    # By itself the server starts its engine through `uv run`, in an environment that uv would make anew.
    api._build_uv_run_cmd_engine = lambda _parent, engine: [  # type: ignore[assignment]
        *(sys.executable, "-m", "cortex.training_api.engine_program", service),
        *config_to_argv(engine),
    ]
    watched = LastAsked(api.app)
    server = uvicorn.Server(uvicorn.Config(watched, host=host, port=port, log_level="warning"))
    if idle_seconds:
        threading.Thread(target=_end_when_idle, args=(server, watched, idle_seconds), daemon=True).start()
    server.run()
    if not server.started:
        sys.exit(1)  # uvicorn or SkyRL's engine has said why


class LastAsked:
    """An ASGI application that notes the time of the last request."""

    def __init__(self, app: App) -> None:
        self._app, self.at = app, time.monotonic()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.at = time.monotonic()
        await self._app(scope, receive, send)


def _end_when_idle(server: uvicorn.Server, watched: LastAsked, seconds: float) -> None:
    while time.monotonic() - watched.at < seconds:
        time.sleep(LOOK_SECONDS)
    logger.info(f"no client has asked for {seconds:g} s: the server ends")
    server.should_exit = True
