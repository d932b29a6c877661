"""The trials of a search as a table."""

from collections.abc import Sequence

from rich.table import Table

from cortex.console import Console
from cortex.search.search_plan import metric_of
from cortex.search.search_state import SearchState
from cortex.search.trial_outcome import Outcome


def print_trials(state: SearchState, outcomes: Sequence[Outcome], winner: str | None, console: Console) -> None:
    """Print a row for each trial; `winner` is the run that was chosen."""
    plan = state.plan
    table = Table("trial", *plan.over, "state", metric_of(plan.base()), "dollars", box=None)
    for one in outcomes:
        values = (str(one.trial.parameters.get(key)) for key in plan.over)
        figure = "" if one.value is None else f"{one.value:.6g}"
        shown = "chosen" if one.trial.run == winner else one.state
        table.add_row(str(one.trial.number), *values, shown, figure, f"{one.spent:.2f}")
    console.print(table)
    for one in outcomes:
        if one.reason:
            console.print(f"trial {one.trial.number}: {one.reason}", soft_wrap=True, markup=False)
