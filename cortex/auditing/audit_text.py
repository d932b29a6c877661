"""An audit for people: what each split can show, what was tried, and a line for each finding."""

from rich.table import Table

from cortex.auditing.audit_record import Audit
from cortex.console import Console


def print_audit(audit: Audit, console: Console) -> None:
    """Print an audit: a table for each domain, notes, and the findings, one a line."""
    for name, domain in audit.domains.items():
        table = Table(name, "examples", "base rate", "independent outcomes", "least skill that shows", box=None)
        for split, power in domain.splits.items():
            rate = "" if power.base_rate is None else f"{power.base_rate:.1%}"
            skill = f"{power.detectable_skill:.4f}" if power.detectable_skill < 1 else "none"
            table.add_row(split, f"{power.examples:,}", rate, f"{power.independent:,.0f}", skill)
        console.print(table)
        console.print(f"built again: {domain.rebuilt}", soft_wrap=True, markup=False)
        for note in domain.notes:
            console.print(note, soft_wrap=True, markup=False)
    for finding in audit.findings:
        console.print(f"finding: {finding}", soft_wrap=True, markup=False)
    if not audit.findings:
        console.print("no finding")
