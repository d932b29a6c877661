"""Progress of a long build: a bar on a terminal, a line from time to time in a log."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.progress import Progress, TaskID

from cortex.console import Console
from cortex.domains.domain import OnProgress

EVERY_SECONDS = 15.0
"""Time between two lines of a log, and before the first: most builds are over by then."""


def progress_lines(log: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> OnProgress:
    """Log a line, such as `features: 3 of 10`, whenever `EVERY_SECONDS` have passed."""
    logged = clock()

    def on_progress(step: str, done: int, total: int) -> None:
        nonlocal logged
        if clock() - logged >= EVERY_SECONDS:
            logged = clock()
            log(f"{step}: {done} of {total}")

    return on_progress


@contextmanager
def progress_bar(console: Console) -> Generator[OnProgress]:
    """Show a bar for each step of a build, which goes when the build is over; lines where there is no terminal."""
    if not console.is_terminal:
        yield progress_lines(console.print)
        return
    with Progress(console=console, transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def on_progress(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=total)
            progress.update(tasks[step], completed=done, total=total)

        yield on_progress
