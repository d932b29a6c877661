"""Result of a check, as JSON and as a row of a table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    check: str
    """The check's name."""
    ok: bool | None
    """False where the check forbids the launch; None where it does not apply, or could not be made."""
    detail: str
    """The facts found, or the reason why there are none."""
    fix: str | None = None
    """Action for the user. On a check that passed it is advice."""

    def __post_init__(self) -> None:
        assert self.ok is not False or self.fix, f"{self.check} fails without a fix"

    @property
    def word(self) -> str:
        """The result in one word: `ok`, `warning`, `skipped` or `FAIL`."""
        if self.ok is None:
            return "skipped"
        if not self.ok:
            return "FAIL"
        return "warning" if self.fix else "ok"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


_STYLES = {"ok": "green", "warning": "yellow", "skipped": "dim", "FAIL": "red bold"}


def failed(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that forbid the launch."""
    return [finding for finding in findings if finding.ok is False]


def styled(finding: Finding) -> Text:
    """The finding's word in its colour."""
    return Text(finding.word, style=_STYLES[finding.word])


def table(findings: Sequence[Finding]) -> Table:
    """The findings as a table for the terminal."""
    made = Table("check", "", "found", "fix", box=None, pad_edge=False)
    for finding in findings:
        made.add_row(finding.check, styled(finding), finding.detail, finding.fix or "")
    return made
