"""The audit of a dataset: all checks on each domain's examples."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from cortex.auditing.audit_record import Audit, AuditFinding, DomainAudit
from cortex.auditing.column_check import check_columns
from cortex.auditing.duplicate_check import check_duplicates
from cortex.auditing.label_check import check_labels
from cortex.auditing.power import split_power
from cortex.auditing.prompt_check import check_prompts
from cortex.auditing.rebuild_check import Found, RebuildCheck
from cortex.auditing.window_check import check_windows
from cortex.domains.audit_view import AuditView
from cortex.domains.dataset import scan_parts
from cortex.domains.domain import Domain, Workspace
from cortex.domains.example_columns import SPLITS
from cortex.errors import CortexError
from cortex.settings import Settings

MOST = 200_000
"""Examples that are compared; of more, as many evenly spaced ones."""


@dataclass(frozen=True)
class AuditDepth:
    """The amount of work of an audit."""

    cuts: Sequence[float] = (0.5, 0.85)
    """Times at which the future is changed, as shares of the decision times; each takes three builds."""
    rows: int = 500_000
    """Rows of the sources from which examples are built again, about."""


@dataclass(frozen=True)
class Audited:
    """A dataset's domain, the seed of its build, and the settings with which its sources are read."""

    domain: Domain
    seed: int
    settings: Settings


QUICK = AuditDepth(cuts=(0.7,), rows=60_000)
"""The depth of the data stage: three builds of a part of the symbols."""


def audit_dataset(folder: Path, audited: Audited, depth: AuditDepth | None, workspace: Workspace) -> Audit:
    """Audit the examples in a dataset's folder; with no depth, nothing is built again.

    Raises:
        DataError: the folder holds no dataset.
    """
    parts = scan_parts(folder)
    findings: list[AuditFinding] = []
    domains: dict[str, DomainAudit] = {}
    for name, part in audited.domain.parts().items():
        own = [audited.domain.rows_of(name, rows) for rows in parts]
        found, domains[name] = _audit_part(replace(audited, domain=part), own, depth, workspace)
        findings += [AuditFinding(name, *each) for each in found]
    return Audit(tuple(findings), domains)


def _audit_part(
    audited: Audited, own: Sequence[pl.LazyFrame], depth: AuditDepth | None, workspace: Workspace
) -> tuple[list[Found], DomainAudit]:
    domain = audited.domain
    rows, notes = _some(own)
    view = domain.audit_view(rows)
    found: list[Found] = [
        *(("overlap", text) for text in check_windows(pl.concat(own), domain.outcome_time)),
        *check_duplicates(rows, view),
        *(("column", text) for text in check_columns(rows, view)),
        *(("label", text) for text in check_labels(rows, view)),
        *(("prompt", text) for text in check_prompts(rows, domain.truth_in_prompt)),
    ]
    rebuilt = "not built again: only the examples were looked at"
    if depth:
        changed, rebuilt, further = _rebuild(audited, rows, view, depth, workspace)
        found, notes = found + changed, notes + further
    splits = {
        split: split_power(of_split, view.filtered(mask), domain.span(of_split))
        for split, mask, of_split in _splits(rows)
    }
    return found, DomainAudit(splits, rebuilt, (*view.notes, *notes))


def _rebuild(
    audited: Audited, rows: pl.DataFrame, view: AuditView, depth: AuditDepth, workspace: Workspace
) -> tuple[list[Found], str, list[str]]:
    """Findings of `RebuildCheck`, its account, and its notes."""
    if rows["at"].has_nulls():
        return [], "not needed: the examples have no order in time", []
    try:
        rebuilds = audited.domain.rebuilds(audited.seed, audited.settings, workspace, depth.rows)
        if rebuilds is None:
            return [], "not built again: the domain has no means to change its sources", []
        domain = audited.domain
        check = RebuildCheck(rows, view, rebuilds, audited.seed, domain.outcome_time, whole=domain.feedback is None)
        found = check.run(depth.cuts)
    except CortexError as error:
        return [("source", f"the examples cannot be built again: {error}")], "not built again", []
    return found, check.words(), check.notes


def _some(parts: Sequence[pl.LazyFrame]) -> tuple[pl.DataFrame, list[str]]:
    """All examples, or as many as are compared. One part is in memory at a time."""
    count = sum(rows.select(pl.len()).collect().item() for rows in parts)
    if count <= MOST:
        return pl.concat([rows.collect() for rows in parts]), []
    step = -(-count // MOST)
    kept = [_compact(rows.collect().gather_every(step)) for rows in parts]
    return pl.concat(kept), [f"one of {step} examples was looked at, of {count:,}"]


def _compact(rows: pl.DataFrame) -> pl.DataFrame:
    """The same rows in memory of their own: texts that were picked out of a table keep all of the table's in memory."""
    stored = io.BytesIO()
    rows.write_parquet(stored, compression="lz4")
    stored.seek(0)
    return pl.read_parquet(stored)


def _splits(rows: pl.DataFrame) -> Iterator[tuple[str, pl.Series, pl.DataFrame]]:
    for split in SPLITS:
        mask = rows["split"] == split
        if mask.any():
            yield split, mask, rows.filter(mask)
