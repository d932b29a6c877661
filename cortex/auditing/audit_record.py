"""The record of an audit: its findings, the strength of each split, and what was tried; as the data stage keeps it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from cortex.errors import DataError
from cortex.limits import RECORD_BYTES, read_file, read_json

AUDIT = "audit.json"
"""The file of the record, beside a dataset's examples."""

Check = Literal[
    "future", "duplicates", "near-duplicates", "overlap", "column", "label", "prompt", "selection", "source"
]


@dataclass(frozen=True)
class AuditFinding:
    """One thing that is wrong with a dataset."""

    domain: str
    check: Check
    text: str
    """The finding in one line, with the first example that it concerns."""

    def __str__(self) -> str:
        return f"{self.domain}: {self.check}: {self.text}"


@dataclass(frozen=True)
class SplitPower:
    """The base rate and the power of one split."""

    examples: int
    base_rate: float | None
    """Mean of what a domain states probabilities of; else the share of the most frequent truth."""
    independent: float
    """Effective number of independent outcomes."""
    detectable_skill: float
    """The least skill that is seen in four of five such splits, by an interval of 95%; 1 where none is."""


@dataclass(frozen=True)
class DomainAudit:
    """The audit of one domain's examples, apart from its findings."""

    splits: Mapping[str, SplitPower]
    rebuilt: str
    """The account of the examples that were built again, or the reason why there are none."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audit:
    """The audit of a dataset."""

    findings: tuple[AuditFinding, ...]
    domains: Mapping[str, DomainAudit]

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values; floats are rounded to six figures, to be the same on all machines."""
        return json.loads(json.dumps(asdict(self)), parse_float=lambda text: float(f"{float(text):.6g}"))


def write_audit(audit: Audit, folder: Path) -> None:
    """Write the record into a dataset's folder."""
    (folder / AUDIT).write_text(json.dumps(audit.to_json(), indent=1) + "\n", encoding="utf-8")


def audit_facts(folder: Path, domain: str) -> dict[str, str]:
    """The facts of a dataset's audit for the page and the card; none where the dataset was not audited.

    Raises:
        DataError: the record cannot be read.
    """
    path = folder / AUDIT
    if not path.exists():
        return {}
    try:
        record: Any = read_json(read_file(path, RECORD_BYTES))
        found = [finding["text"] for finding in record["findings"] if finding["domain"] == domain]
        test = record["domains"][domain]["splits"]["test"]
        power = _power_words(test["independent"], test["examples"], test["detectable_skill"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no audit that the data stage wrote: {error}") from error
    verdict = "no finding" if not found else f"{len(found)} finding{'s' * (len(found) > 1)}: {'; '.join(found)}"
    return {"Audit of the data": verdict, "Independent outcomes in test": power}


def _power_words(independent: float, examples: int, skill: float) -> str:
    seen = f"a skill of {skill:.3f} or more shows" if skill < 1 else "no skill could show"
    return f"{independent:,.0f} of {examples:,}: {seen}"
