"""What a check found, for programs and for people."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Finding:
    """One check's answer."""

    check: str
    """Its name."""
    ok: bool | None
    """Whether the run may be launched, as far as this goes; None: it does not apply, or could not be looked at."""
    detail: str
    """What was found, or why nothing was."""
    fix: str | None = None
    """What to do about it. On a check that passed it is advice."""

    def __post_init__(self) -> None:
        assert self.ok is not False or self.fix, f"{self.check} fails without a fix"

    @property
    def word(self) -> str:
        """How it went, in one word."""
        if self.ok is None:
            return "skipped"
        if not self.ok:
            return "FAIL"
        return "warning" if self.fix else "ok"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


_STYLES = {"ok": "green", "warning": "yellow", "skipped": "dim", "FAIL": "red bold"}


def failed(findings: Sequence[Finding]) -> list[Finding]:
    """Those that speak against launching."""
    return [finding for finding in findings if finding.ok is False]


def styled(finding: Finding) -> Text:
    """Its word, in its colour."""
    return Text(finding.word, style=_STYLES[finding.word])


def table(findings: Sequence[Finding]) -> Table:
    """The findings for people."""
    made = Table("check", "", "found", "fix", box=None, pad_edge=False)
    for finding in findings:
        made.add_row(finding.check, styled(finding), finding.detail, finding.fix or "")
    return made
