"""The trainings of a run, as a part of its page: curves over interruptions, and answers sampled on the way."""

from collections.abc import Iterable, Sequence

from cortex.evaluation.page_frame import TABLE_END, figure_html, table_head
from cortex.evaluation.record import label
from cortex.report.curve_panels import Panel, draw_panels, panels
from cortex.report.gathered_run import GatheredRun
from cortex.report.run_attempts import Break, breaks
from cortex.text import html_text
from cortex.tracking.curve import Point
from cortex.tracking.sample_tables import Rows, SampleTables

SAMPLED_STEPS = 6
"""Steps of a training whose sampled answers are shown, evenly spread from the first to the last."""

SAMPLED_ANSWERS = 3
"""Answers of one step that are shown."""

SAMPLED_LETTERS = 1500
"""Characters of a prompt or an answer that are shown."""

_TEXTS = ("prompt", "completion", "truth")
_LEFT_OUT = ("step", "split")


def training_html(run: GatheredRun) -> Iterable[str]:
    """The lines of the section, below its heading."""
    if not run.curves:
        yield "<p>No stage has trained yet.</p>"
    for stage, points in run.curves.items():
        yield f"<h3>{html_text(stage)}</h3>"
        interrupted = breaks(run.attempts, stage)
        yield f"<p>{html_text(_told(points, interrupted))}</p>"
        shown = panels(points)
        if shown:
            yield figure_html(draw_panels(stage, shown, interrupted))
            yield from _figures(stage, shown)
        yield from _sampled(stage, points, run.samples[stage])


def _told(points: Sequence[Point], interrupted: Sequence[Break]) -> str:
    words = f"It has measured up to step {points[-1].step:,}."
    for each in interrupted:
        how = {"preempted": "was preempted", "killed": "was killed", "failed": "failed"}.get(each.end, "ended")
        again = f", so that {each.repeated:,} steps were made again" if each.repeated else ""
        begun = f"went on from step {each.resumed:,}{again}" if each.resumed else "began anew"
        words += f" After step {each.last_step:,} it {how}, and {begun}."
    return words + (" Dashed lines mark the interruptions." if interrupted else "")


def _figures(stage: str, shown: Sequence[Panel]) -> Iterable[str]:
    """The same in numbers, for those who do not see the drawing."""
    yield f"<details><summary>The curves of {html_text(stage)} in numbers</summary>"
    yield table_head(f"Curves of {stage}", ("First", "Last", "Lowest", "Highest"))
    for panel in shown:
        for name, (_, values) in panel.lines.items():
            cells = "".join(f"<td>{value:.4g}</td>" for value in (values[0], values[-1], values.min(), values.max()))
            yield f"<tr><th>{html_text(label(name))}</th>{cells}</tr>"
    yield f"{TABLE_END}</details>"


def _sampled(stage: str, points: Sequence[Point], tables: SampleTables) -> Iterable[str]:
    kept = [(point, rows) for point in points if (rows := tables.rows(point))]
    if not kept:
        return
    count = min(SAMPLED_STEPS, len(kept))
    chosen = [kept[at * (len(kept) - 1) // max(1, count - 1)] for at in range(count)]
    yield f'<h4>Answers sampled in {html_text(stage)}</h4><p class="note">Of {len(kept)} steps that kept some, '
    yield f"{len(chosen)} are shown, from the first to the last.</p>"
    for point, rows in chosen:
        yield f"<details><summary>step {point.step:,}{_of_rows(point, rows)}</summary>"
        yield from (_answer(row) for row in rows[:SAMPLED_ANSWERS])
        yield "</details>"


def _of_rows(point: Point, rows: Rows) -> str:
    split = ", validation" if str(point.samples).startswith("validation") else ""
    rewards = [float(row["reward"]) for row in rows if isinstance(row.get("reward"), int | float)]
    return f"{split}: mean reward {sum(rewards) / len(rewards):.3f} of {len(rewards)} answers" if rewards else split


def _answer(row: dict[str, object]) -> str:
    numbers = {name: value for name, value in row.items() if name not in (*_TEXTS, *_LEFT_OUT)}
    told = ", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in numbers.items())
    texts = "".join(
        f'<span class="note">{name}</span><pre>{html_text(row[name], limit=SAMPLED_LETTERS)}</pre>'
        for name in _TEXTS
        if row.get(name)
    )
    return f'<article>{texts}<p class="note">{html_text(told)}</p></article>'


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
