"""Money and time of a run, as a part of its page: by stage, and by machine."""

from collections.abc import Iterable

from cortex.evaluation.page_frame import TABLE_END, table_head
from cortex.fleet.status.status_view import place
from cortex.report.gathered_run import GatheredRun
from cortex.runs.live import duration
from cortex.text import html_text


def money_html(run: GatheredRun) -> Iterable[str]:
    """The lines of the section's tables, below its heading."""
    status = run.status
    cap = f" of a budget of ${status.budget:.2f}" if status.budget else "; no budget was set"
    preempted = sum(stage.preemptions for stage in status.stages)
    times = f"preempted {preempted} time{'' if preempted == 1 else 's'}" if preempted else "never preempted"
    yield f"<p>The run is {html_text(status.state)}. It has cost ${status.spent:.2f}{cap}, and was {times}."
    yield f"{_wall(run)}</p>"
    if status.given_up:
        yield f"<p>Given up: {html_text(status.given_up)}</p>"
    if status.stage and status.stage.reason and status.state != "done":
        yield f"<p>{html_text(status.stage.name)}: {html_text(status.stage.reason)}</p>"
    if status.damaged:
        yield f"<p>{len(status.damaged)} objects of the ledger are damaged: what they held is missing here.</p>"
    yield from _stages(run)
    yield from _machines(run)


def _wall(run: GatheredRun) -> str:
    if not run.events:
        return " Its ledger is empty."
    times = [event["time"] for event in run.events]
    return f" From its first entry in the ledger to its last, {duration(max(times) - min(times))} went by."


def _stages(run: GatheredRun) -> Iterable[str]:
    yield table_head("Money and time by stage", ("State", "Attempts", "Preempted", "Time", "Dollars"))
    known = 0.0
    for report in run.status.stages:
        own = [attempt for attempt in run.attempts if attempt.stage == report.name]
        dollars, seconds = sum(attempt.dollars for attempt in own), sum(attempt.seconds for attempt in own)
        known += dollars
        cells = (report.state, report.attempts, report.preemptions, duration(seconds), f"{dollars:.2f}")
        yield _row(report.name, cells)
    rest = run.status.spent - known
    if rest >= 0.005:
        yield _row("between stages", ("", "", "", "", f"{rest:.2f}"))
    yield TABLE_END
    yield '<p class="note">A stage costs from its beginning to its last sign of life. Starting machines, bringing '
    yield "images and stopping lie between stages.</p>"


def _machines(run: GatheredRun) -> Iterable[str]:
    if not run.status.charges:
        return
    yield table_head("Machines", ("Machine", "Time", "Dollars"))
    for number, charge in enumerate(run.status.charges, 1):
        cells = (place(charge), duration(charge.seconds), f"{charge.dollars:.2f}")
        yield _row(f"machine {number}", cells)
    yield TABLE_END


def _row(name: str, cells: Iterable[object]) -> str:
    return f"<tr><th>{html_text(name)}</th>{''.join(f'<td>{html_text(cell)}</td>' for cell in cells)}</tr>"
