"""Answers kept one file each: a series that is here is not asked for again, and a kill loses at most one."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from cortex.domains.markets.live.pull import count_other
from cortex.domains.markets.live.replaced import set_aside


@dataclass
class Kept:
    """A folder of series, and what one load took from it."""

    folder: Path
    fresh: bool = False
    """Ask anew for what is kept."""
    digests: dict[str, str] = field(default_factory=dict[str, str])
    """SHA-256 of each series' file."""
    asked: int = 0
    """Series that were asked for, not found here."""
    revised: int | None = None
    """Rows that are not as they were kept; None where nothing was asked for anew."""

    def series(self, name: str, question: str, ask: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """A series as it is kept, or asked for now. Equal questions have equal answers; `name` is for people."""
        file = self.folder / f"{name}-{hashlib.sha256(question.encode()).hexdigest()[:16]}.parquet"
        before = _read(file)
        if before is None or self.fresh:
            table = ask()
            if before is not None:
                self.revised = (self.revised or 0) + count_other(table, before)
                if not table.equals(before):
                    set_aside(file, hashlib.sha256(file.read_bytes()).hexdigest())
            self.asked += 1
            self.folder.mkdir(parents=True, exist_ok=True)
            aside = file.with_suffix(".aside")
            table.write_parquet(aside)
            aside.replace(file)
        self.digests[file.stem] = hashlib.sha256(file.read_bytes()).hexdigest()
        return pl.read_parquet(file)


def _read(file: Path) -> pl.DataFrame | None:
    try:
        return pl.read_parquet(file) if file.exists() else None
    except (pl.exceptions.PolarsError, OSError):
        return None  # cut off by a power failure
