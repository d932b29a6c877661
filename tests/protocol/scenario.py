"""A scenario: programs of the real code in a world that a seed decides, and the rules that they are held against."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

Play = Callable[[Random, Path], None]

MEMORY = Path("/dev/shm")
"""A folder in memory, in which a sync to the disk takes no time."""


def play(scenario: Play, seed: int) -> None:
    """Run the schedule of a seed, and hold every step of it against what docs/proof.md says.

    Raises:
        ViolationError: a rule was broken.
    """
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        scenario(Random(seed), Path(folder))
