"""The protocol of a tracker, and the training that it draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cortex.profiles.profile import Profile
from cortex.tracking.curve import Point
from cortex.tracking.sample_tables import Rows


@dataclass(frozen=True)
class Training:
    """The training of one stage of a run, which keeps its identity on every machine."""

    run: str
    stage: str
    profile: Profile
    folder: Path
    """Folder for a tracker's own files; they are uploaded to the bucket."""
    scratch: Path
    """Folder for a tracker's other files, which stay on this machine."""
    rows: Callable[[Point], Rows] = lambda point: []
    """The answers that were sampled for a point, for trackers that show tables."""

    @property
    def name(self) -> str:
        return f"{self.run}-{self.stage}"


class Tracker(Protocol):
    """A tracker, used by one thread. Every method may raise any error of its library or its server."""

    def open(self) -> int:
        """Begin or continue the curve of a training; returns the last step that the tracker has, -1 for none."""
        ...

    def draw(self, points: Sequence[Point]) -> None:
        """Add points, in the order of their steps, each with a table of its answers if it has any."""
        ...

    def close(self) -> None:
        """End the drawing: the training makes no further step on this machine."""
        ...
