"""Tables of the road test: its plan, before anything is rented, and its results."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from scripts.roadtest.step import Line, State, Step

STYLES: dict[State, str] = {"passed": "green", "FAILED": "red bold", "not proven here": "yellow", "not reached": "dim"}


def planned(steps: Sequence[Step], cap: float) -> Table:
    """Table of the steps with their highest costs, and how each is undone. `cap` is the main run's, in dollars."""
    made = Table("step", "what it proves", "at most", "undone by", box=None, pad_edge=False)
    for step in steps:
        dollars = cap if step.capped else step.dollars
        made.add_row(step.name, step.proves, f"${dollars:.2f}" if dollars else "-", step.undone or "-")
    return made


def table(lines: Sequence[Line]) -> Table:
    """Table of results, a row a step: state, time, cost, what it proves, and what was found."""
    made = Table("step", "", "seconds", "$", "what it proves", "seen", box=None, pad_edge=False)
    for column in ("seconds", "$"):
        next(each for each in made.columns if each.header == column).justify = "right"
    for line in lines:
        taken = (f"{line.seconds:.0f}", f"{line.dollars:.4f}") if line.state != "not reached" else ("", "")
        made.add_row(line.name, Text(line.state, style=STYLES[line.state]), *taken, line.proves, line.detail)
    return made


def summary(lines: Sequence[Line]) -> str:
    """The last line: the number of steps in each state, and the total time."""
    counts = {state: sum(line.state == state for line in lines) for state in STYLES}
    words = [f"{count} {state}" for state, count in counts.items() if count or state in ("passed", "FAILED")]
    return f"{', '.join(words)}; {sum(line.seconds for line in lines) / 60:.0f} minutes"
