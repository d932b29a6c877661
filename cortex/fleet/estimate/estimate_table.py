"""An estimate as a table for the terminal."""

import math

from rich.table import Table

from cortex.console import Console
from cortex.fleet.estimate.replay import PATIENCE
from cortex.fleet.estimate.result import Range, RunEstimate


def print_estimate(found: RunEstimate, console: Console) -> None:
    """Print the assumptions, the ways to rent the machines, and the checkpoint intervals."""
    job = found.job
    console.print(
        f"{found.profile}: {job.work / 3600:.1f} hours of work ({found.basis}), to end within "
        f"{job.deadline / 3600:.1f}; a restart takes {job.restart / 60:.0f} minutes; an hour costs "
        f"${job.spot:,.2f} on spot, ${job.on_demand:,.2f} on-demand"
    )
    zones = "one zone" if found.zones == 1 else f"{found.zones} zones"
    console.print(f"{found.replays:,} replays in {zones}; traces: {found.traces}\n")
    table = Table(box=None, pad_edge=False)
    table.add_column("P50 / P90", no_wrap=True)
    for heading in ("hours", "dollars", "preemptions", "lost hours", "on-demand hours", "late"):
        table.add_column(heading, justify="right")
    for policy in found.policies:
        table.add_row(
            policy.policy,
            _range(policy.hours, 1, f"over {PATIENCE * job.deadline / 3600:.0f}"),
            _range(policy.dollars, 0),
            _range(policy.preemptions, 0),
            _range(policy.lost_hours, 1),
            _range(policy.on_demand_hours, 1),
            f"{policy.late:.1%}",
        )
    console.print(table)
    console.print(f"\n{_intervals(found)}")


def _range(values: Range, digits: int, without_end: str = "") -> str:
    return " / ".join(
        f"{value:,.{digits}f}" if math.isfinite(value) else without_end for value in (values.p50, values.p90)
    )


def _intervals(found: RunEstimate) -> str:
    intervals = found.intervals
    if math.isinf(intervals.between_preemptions):
        return "checkpoints: no machine is ever taken in these traces"
    said = [f"Young {intervals.young / 60:.0f}", f"Daly {intervals.daly / 60:.0f}"]
    if intervals.simulated is not None and intervals.waste is not None:
        said.append(f"replays {intervals.simulated / 60:.0f} ({intervals.waste:.0%} of the machine hours is no work)")
    own = [f"{stage} {seconds / 60:.0f}" for stage, seconds in found.saves.items()]
    return (
        f"checkpoints: a spot machine lasts {intervals.between_preemptions / 60:.0f} minutes on average, a save takes "
        f"{found.job.save:.0f} s; minutes of work between saves: {', '.join(said)}"
        + (f"; the profile's: {', '.join(own)}" if own else "")
    )
