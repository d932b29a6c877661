"""A training's stored sample answers as table rows, read from its own disk or from the bucket."""

from functools import cached_property
from pathlib import Path
from typing import Any

from loguru import logger

from cortex.artifacts.store import MissingObjectError, Store
from cortex.limits import SAMPLES_BYTES, TooLargeError, read_file, read_json
from cortex.tracking.curve import Point

Rows = list[dict[str, Any]]
"""Answers as mappings from column names to values; all have the same columns."""


MOST_ROWS = 64
"""Rows of a table at most: the upper bound of a profile's `grpo.samples`."""


class SampleTables:
    """The rows of each point of a stage's curve; most have none."""

    def __init__(
        self, store: Store, run: str, stage: str, *, folder: Path | None = None, sent: int | None = None
    ) -> None:
        """`folder`: where the training here keeps files. `sent`: the last step whose files are looked for in the
        bucket, where they are not on this disk; None for all of them."""
        self._store, self._prefix = store, f"runs/{run}/{stage}/tracking/samples"
        self._folder, self._sent = folder, sent

    def rows(self, point: Point) -> Rows:
        """The answers that were sampled for a point; empty where the file is not a table.

        Raises:
            StoreError: the bucket does not answer.
        """
        if point.samples is None:
            return []
        here = self._folder / point.samples if self._folder else None
        try:
            if here and here.is_file():
                return _read(read_file(here, SAMPLES_BYTES))
            if (self._sent is not None and point.step > self._sent) or point.samples not in self._kept:
                return []
            return _read(self._store.get(self._kept[point.samples], SAMPLES_BYTES))
        except (TooLargeError, MissingObjectError) as error:
            logger.warning(f"the answers of step {point.step} are not drawn: {error}")
            return []

    @cached_property
    def _kept(self) -> dict[str, str]:
        """The keys of the bucket's files, by name: listed once, since few points have one."""
        return {key.rpartition("/")[2]: key for key in (entry.key for entry in self._store.list(self._prefix))}


def table_name(point: Point) -> str:
    """The name that trackers show a point's answers under: `samples/train` or `samples/validation`."""
    return f"samples/{str(point.samples).partition('-')[0]}"


def _read(data: bytes) -> Rows:
    """The lines with the columns of the first line; other lines are dropped, as a file may be foreign or cut off."""
    rows: Rows = []
    for line in data.split(b"\n"):
        if len(rows) == MOST_ROWS:
            break
        try:
            row = read_json(line)
        except ValueError:
            continue
        if isinstance(row, dict) and row and (not rows or row.keys() == rows[0].keys()):
            rows.append(
                {str(name): value if isinstance(value, int | float) else str(value) for name, value in row.items()}
            )
    return rows
