"""Spot traces: a machine's availability in one zone, tick by tick. A folder holds zones observed at the same time."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortex.errors import DataError

Bools = NDArray[np.bool_]
SHORTEST = 2
"""Least ticks of a trace: a shorter one says nothing about how long a machine lasts."""


@dataclass(frozen=True)
class Trace:
    """Availability of a machine in one zone."""

    name: str
    tick: float
    """Seconds between two observations."""
    up: Bools
    """By observation: True where enough machines were available."""

    @property
    def days(self) -> float:
        return self.tick * len(self.up) / 86400

    @property
    def availability(self) -> float:
        """Share of the time in which a machine is available."""
        return float(self.up.mean())

    def runs(self, *, up: bool) -> NDArray[np.float64]:
        """Seconds of each uninterrupted period in which the zone was up, or down."""
        edges = np.flatnonzero(np.diff(self.up)) + 1
        bounds = np.concatenate([[0], edges, [len(self.up)]])
        return np.diff(bounds)[self.up[bounds[:-1]] == up] * self.tick


def read_trace(path: Path, machines: int = 1) -> Trace:
    """Read a trace in the published format: `{"metadata": {"gap_seconds": 300}, "data": [0, 1, 1, ...]}`.

    The numbers in `data` are counts of available machines; the tick is the file's gap. Source of the format and of the
    traces: github.com/skypilot-org/spot-traces, of "Can't Be Late" (Wu et al., NSDI 2024).

    Raises:
        DataError: the file cannot be read, or is not of this form.
    """
    try:
        found: Any = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is no spot trace: {error}") from error
    metadata = found.get("metadata") if isinstance(found, dict) else None
    if not isinstance(metadata, dict) or not isinstance(found.get("data"), list):
        raise DataError(f'{path} is no spot trace: it needs {{"metadata": {{"gap_seconds": 300}}, "data": [0, 1]}}')
    gap, data = metadata.get("gap_seconds"), found["data"]
    if isinstance(gap, bool) or not isinstance(gap, int | float) or not (math.isfinite(gap) and gap >= 1):
        raise DataError(f"{path}: metadata.gap_seconds is {gap!r}: give the seconds between two looks, 1 or more")
    wrong = [entry for entry in data if isinstance(entry, bool) or not isinstance(entry, int | float) or not entry >= 0]
    if wrong:
        raise DataError(f"{path}: data holds {wrong[0]!r}: give how many machines were there at each look, 0 or more")
    if len(data) < SHORTEST:
        raise DataError(f"{path}: data has {len(data)} looks: give at least {SHORTEST}")
    return Trace(path.stem, float(gap), np.asarray(data, dtype=float) >= machines)


def read_traces(folder: Path) -> dict[str, tuple[Trace, ...]]:
    """Read every `*.json` of a folder and its subfolders, except hidden ones; the result is grouped by folder.

    Raises:
        DataError: there is no such file, one is not a trace, or traces of one folder differ in their gap.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: give one that holds spot traces, *.json")
    groups: dict[Path, list[Trace]] = {}
    for path in sorted(folder.rglob("*.json")):
        # Hidden files are not traces: some systems put metadata into files such as `._a.json`.
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        groups.setdefault(path.parent, []).append(read_trace(path))
    if not groups:
        raise DataError(f"{folder} holds no spot trace: put *.json files of the published format there")
    for place, traces in groups.items():
        if len({trace.tick for trace in traces}) > 1:
            gaps = ", ".join(sorted({f"{trace.tick:g}" for trace in traces}))
            raise DataError(f"{place} mixes traces with gaps of {gaps} seconds: keep each kind in a folder of its own")
    return {str(place.relative_to(folder)): tuple(traces) for place, traces in groups.items()}


@dataclass(frozen=True)
class Windows:
    """Start positions of many replays in traces, to look availability up without copies. Traces wrap around.

    Shapes: `ticks`, `zones` that a job may move between, `replays`.
    """

    tick: float
    flat: Bools
    """All traces, one after another."""
    base: NDArray[np.intp]
    """zones x replays: index of the trace's first tick in `flat`."""
    length: NDArray[np.intp]
    """zones x replays: number of ticks of the trace."""
    offset: NDArray[np.intp]
    """zones x replays: tick of the trace at which the replay begins."""

    @property
    def replays(self) -> int:
        return self.base.shape[1]

    def first(self, replays: int) -> "Windows":
        """Windows of the first `replays` replays only."""
        cut = slice(replays)
        return replace(self, base=self.base[:, cut], length=self.length[:, cut], offset=self.offset[:, cut])

    def block(self, first: int, count: int, replays: NDArray[np.intp] | slice = slice(None)) -> Bools:
        """Availability from tick `first` on, for `count` ticks, of the shape ticks x zones x `replays`."""
        ticks = np.arange(first, first + count)[:, None, None]
        base, length, offset = (part[:, replays] for part in (self.base, self.length, self.offset))
        return self.flat[base + (offset + ticks) % length]


def windows(
    groups: Sequence[Sequence[Trace]], replays: int, ticks: int, rng: np.random.Generator, zones: int = 1
) -> Windows:
    """Random starts of replays in traces with the same tick length.

    All zones of a replay are of one group, and start at the same time.
    `zones` is the number that a job may move between, reduced where a group has fewer. Where a trace is long enough, a
    start leaves `ticks` observations before the trace wraps around.
    """
    zones = min(zones, *(len(group) for group in groups))
    traces = [trace for group in groups for trace in group]
    lengths = np.array([len(trace.up) for trace in traces], dtype=np.intp)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.intp)
    # Groups are drawn by their size, so that every trace is equally likely.
    sizes = np.array([len(group) for group in groups])
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    picked = rng.choice(len(groups), size=replays, p=sizes / sizes.sum())
    chosen = np.stack([first[group] + rng.permutation(sizes[group])[:zones] for group in picked], axis=1)
    room = lengths[chosen].min(axis=0)
    offset = rng.integers(0, np.where(room >= ticks, room - ticks + 1, room))
    return Windows(
        tick=traces[0].tick,
        flat=np.concatenate([trace.up for trace in traces]),
        base=starts[chosen],
        length=lengths[chosen],
        offset=np.broadcast_to(offset, chosen.shape),
    )
