"""The trackers that a profile names, fed from the same events as the ledger, for every trainer."""

import time
from collections.abc import Callable
from functools import partial
from types import TracebackType

from cortex.artifacts.patience import Patience
from cortex.runs.context import RunContext
from cortex.runs.ledger import LedgerReader
from cortex.tracking.curve import Point, curve, next_point, up_to
from cortex.tracking.feed import Feed, Told
from cortex.tracking.keeper import tracking_folder
from cortex.tracking.mlflow import Mlflow
from cortex.tracking.packaged import Trackio, Wandb
from cortex.tracking.sample_tables import SampleTables
from cortex.tracking.samples import Split
from cortex.tracking.tensorboard import TensorBoard
from cortex.tracking.tracker import Tracker, Training

KINDS: dict[str, Callable[[Training], Tracker]] = {
    "tensorboard": TensorBoard,
    "mlflow": Mlflow,
    "wandb": Wandb,
    "trackio": Trackio,
}

CLOSE_SECONDS = 20.0
"""Seconds that the end of a training waits for trackers to draw their remaining points."""

LEAVE_SECONDS = 2.0
"""The same for a training that was interrupted: its machine may be going away."""


class Trackers:
    """All trackers of a training. None of them ever delays or ends it."""

    def __init__(self, context: RunContext, stage: str, resumed: int | None, told: Told) -> None:
        """`resumed`: the step that the training goes on from, None from the beginning."""
        self._stage = stage
        folder = context.folder(stage)
        kept = tracking_folder(context, stage)
        store = context.store.with_patience(Patience(deadline=5.0))
        tables = SampleTables(store, context.run, stage, folder=kept / "samples", sent=resumed or -1)
        training = Training(context.run, stage, context.profile, kept, folder / "trackers", tables.rows)
        self._step: list[Point] = []
        """The points of the current step."""

        def history() -> list[Point]:
            if not resumed:
                return []
            events = LedgerReader(context.store, context.run).new_events()
            before = [event for event in events if event["epoch"] < context.lease.epoch]
            return up_to(curve(before, stage), resumed)

        self._feeds = [
            Feed(name, partial(KINDS[name], training), history, partial(told, stage=stage))
            for name in context.profile.tracking
        ]

    def __enter__(self) -> "Trackers":
        for feed in self._feeds:
            feed.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end = time.monotonic() + (CLOSE_SECONDS if error is None else LEAVE_SECONDS)
        for feed in self._feeds:
            missing = feed.close(max(0.1, end - time.monotonic()))
            if missing:
                print(
                    f"{missing} points of {self._stage} are not drawn in {feed.name}; the ledger has them", flush=True
                )

    def add(self, step: int, values: dict[str, float], split: Split = "train") -> None:
        """Draw what was measured at a step, in training or in a validation."""
        before = [point for point in self._step if point.step == step]
        point = next_point(before, split, step, time.time(), values)
        self._step = [*before, point]
        for feed in self._feeds:
            feed.add(point)
