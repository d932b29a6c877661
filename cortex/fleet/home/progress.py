"""A progress bar for transfers: bytes, rate, time left."""

from collections.abc import Generator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from cortex.artifacts.receiving import Advance
from cortex.console import Console


@contextmanager
def transfer_bar(console: Console, name: str, total: int) -> Generator[Advance]:
    """Show a bar; the function it yields adds bytes to it, and may be called from any thread."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(name, total=total)

        def advance(count: int) -> None:
            progress.advance(task, count)

        yield advance
