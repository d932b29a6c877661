"""The live view of a run's stages: a table on a terminal, a line per change elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from cortex.runs.report import RunFollower, StageReport

_MARKS = {"waiting": "[dim]·[/dim]", "running": "[cyan]▶[/cyan]", "failed": "[red]✗[/red]", "done": "[green]✓[/green]"}
_SHOWN = ("loss", "reward", "kl")
_LINE_SECONDS = 15.0


class LiveStages:
    """Shows a followed run until it is left; `refresh` is to be called a few times a second."""

    def __init__(self, follower: RunFollower, console: Console) -> None:
        self.waiting_for: str | None = None
        self._follower = follower
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None
        self._told: dict[str, tuple[str, float]] = {}

    def __enter__(self) -> "LiveStages":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refresh()
        self.stop()

    def stop(self) -> None:
        """Leave the table as it stands."""
        if self._live:
            self._live.stop()

    def refresh(self) -> None:
        """Read the ledger and show what is new."""
        self._follower.update()
        if self._live:
            self._live.update(self._table(), refresh=True)
        else:
            for report in self._follower.stages.values():
                self._tell(report)

    def _table(self) -> Table:
        table = Table("", "stage", "time", "progress", "", box=None, pad_edge=False)
        for report in self._follower.stages.values():
            table.add_row(_MARKS[report.state], report.name, _seconds(report), _progress(report), _values(report))
        if self.waiting_for:
            table.add_row("[cyan]▶[/cyan]", f"[dim]making {self.waiting_for}[/dim]")
        return table

    def _tell(self, report: StageReport) -> None:
        state, at = self._told.get(report.name, ("waiting", 0.0))
        due = report.state == "running" and report.step is not None and time.monotonic() - at > _LINE_SECONDS
        if report.state != state or due:
            self._told[report.name] = (report.state, time.monotonic())
            words = [f"{report.name:<9}", f"{report.state:<8}", _seconds(report), _progress(report), _values(report)]
            self._console.print("  ".join(word for word in words if word), highlight=False)


def _seconds(report: StageReport) -> str:
    under_way = time.time() - report.started if report.started and report.state == "running" else 0.0
    spent = report.seconds + under_way
    return f"{spent:6.1f} s" if spent or report.state != "waiting" else ""


def _progress(report: StageReport) -> str:
    return f"{report.step}/{report.total}" if report.step is not None else ""


def _values(report: StageReport) -> str:
    values = report.values or {}
    return "  ".join(f"{name} {values[name]:.4f}" for name in _SHOWN if name in values)
