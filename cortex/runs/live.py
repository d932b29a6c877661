"""The live view of a run's stages: a table on a terminal; elsewhere a line for each change."""

import time
from collections.abc import Callable, Iterable
from types import TracebackType

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cortex.console import Console
from cortex.runs.run_state import RunFollower, StageReport

_MARKS = {
    "waiting": Text("·", "dim"),
    "running": Text("▶", "cyan"),
    "silent": Text("?", "yellow"),
    "failed": Text("✗", "red"),
    "done": Text("✓", "green"),
}
_SHOWN = ("loss", "reward", "kl")
_SHOWN_OF_VALIDATIONS = ("answer_loss", "loss")
"""The first of these that was measured is shown: it decides which checkpoint is the best."""
_LINE_SECONDS = 15.0


class LiveStages:
    """Shows a run's stages until the block is left. The caller calls `refresh` a few times a second.

    `summary` gives the lines below the table. They are shown on a terminal alone.
    """

    def __init__(self, follower: RunFollower, console: Console, summary: Callable[[], str] | None = None) -> None:
        self.waiting_for: str | None = None
        self._follower = follower
        self._console = console
        self._summary = summary
        self._live = Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None
        self._printed: dict[str, tuple[str, float]] = {}

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
        """Stop updating the table, and leave it on the terminal."""
        if self._live:
            self._live.stop()

    def refresh(self) -> None:
        """Read the ledger and show what changed."""
        self._follower.update()
        if self._live:
            table = self._table()
            self._live.update(Group(table, Text(self._summary())) if self._summary else table, refresh=True)
        else:
            for report in self._follower.stages.values():
                self._print_change(report)

    def _table(self) -> Table:
        table = stage_table(self._follower.stages.values())
        if self.waiting_for:
            table.add_row(_MARKS["running"], Text(f"making {self.waiting_for}", "dim"))
        return table

    def _print_change(self, report: StageReport) -> None:
        state, at = self._printed.get(report.name, ("waiting", 0.0))
        due = report.state == "running" and report.step is not None and time.monotonic() - at > _LINE_SECONDS
        if report.state != state or due:
            self._printed[report.name] = (report.state, time.monotonic())
            words = [f"{report.name:<9}", f"{report.state:<8}", *_cells(report)]
            self._console.print("  ".join(word for word in words if word))


def stage_table(reports: Iterable[StageReport]) -> Table:
    """A table with a row for each stage."""
    table = Table("", "stage", "time", "progress", "", "", box=None, pad_edge=False)
    for report in reports:
        table.add_row(_MARKS[report.state], report.name, *_cells(report))
    return table


def duration(seconds: float) -> str:
    """A duration for people: `45 s`, `12 min`, `3.5 h`, `2.1 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def _cells(report: StageReport) -> list[str]:
    return [_seconds(report), _progress(report), _values(report), _attempts(report)]


def _attempts(report: StageReport) -> str:
    words = [f"attempt {report.attempts}"] if report.attempts > 1 else []
    words += [f"{report.preemptions} preempted"] if report.preemptions else []
    return ", ".join([*words, "silent"] if report.state == "silent" else words)


def _seconds(report: StageReport) -> str:
    spent = report.seconds + report.under_way
    return f"{spent:6.1f} s" if spent or report.state != "waiting" else ""


def _progress(report: StageReport) -> str:
    if report.step is None:
        return ""
    left = f"  {duration(report.seconds_left)} left" if report.seconds_left else ""
    return f"{report.step}/{report.total}{left}"


def _values(report: StageReport) -> str:
    values, validation = report.values or {}, report.validation or {}
    words = [f"{name} {values[name]:.4f}" for name in _SHOWN if name in values]
    if "tokens" in values and "tokens_per_second" in values:  # of a pretraining
        words.append(f"{values['tokens'] / 1e6:,.1f}M tokens, {values['tokens_per_second']:,.0f} a second")
    judged_by = next((name for name in _SHOWN_OF_VALIDATIONS if name in validation), None)
    if judged_by:
        words.append(f"validated {report.validated}: {judged_by} {validation[judged_by]:.4f}")
    return "  ".join(words)
