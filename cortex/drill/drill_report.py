"""Report of a drill: one row per case, and the verdict on the kit's claim."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from cortex.console import Console
from cortex.drill.side_verdict import Finding


@dataclass(frozen=True)
class Row:
    """One case."""

    fault: str
    good: int
    """The step of the newest checkpoint that the fault left intact."""
    bare: Finding | None = None
    """None where a bare trainer has no such moment, and where the case was left out."""
    kit: Finding | None = None
    cold: bool = False
    """True where its programs started without a warm Python, so that the seconds are those of a new machine."""
    left_out: str | None = None

    @property
    def held(self) -> bool:
        """True where the kit resumed from the newest good checkpoint and ended with identical weights."""
        kit = self.kit
        return self.left_out is not None or (
            kit is not None and kit.kind == "same" and kit.resumed is not None and kit.resumed >= self.good
        )


@dataclass(frozen=True)
class Report:
    """All rows of one trainer."""

    profile: str
    stage: str
    differs: tuple[str, ...]
    """Settings of the trainer that the stand-in could not keep."""
    rows: tuple[Row, ...]
    seconds: float

    @property
    def held(self) -> bool:
        return all(row.held for row in self.rows)

    def count(self, side: str, *kinds: str) -> int:
        """Number of faults after which a side ended in one of these ways."""
        findings: list[Finding | None] = [getattr(row, side) for row in self.rows]
        return sum(finding is not None and finding.kind in kinds for finding in findings)

    def to_json(self) -> dict[str, Any]:
        """Keys: profile, stage, differs, seconds, held, bare and kit (silent, crash_loops), faults (the rows)."""
        return {
            "profile": self.profile,
            "stage": self.stage,
            "differs": list(self.differs),
            "seconds": round(self.seconds, 1),
            "held": self.held,
            **{
                side: {"silent": self.count(side, "silent"), "crash_loops": self.count(side, "crashes", "refused")}
                for side in ("bare", "kit")
            },
            "faults": [asdict(row) | {"held": row.held} for row in self.rows],
        }


def print_report(report: Report, console: Console) -> None:
    """Print the table for people, with the verdict as its last line."""
    table = Table("fault", "bare trainer", "the kit", "steps lost", "seconds", box=None, pad_edge=False)
    for row in report.rows:
        if row.left_out:
            table.add_row(row.fault, Text(f"left out: {row.left_out}", "dim"))
            continue
        lost, seconds = _lost(row.bare), _seconds(row.bare)
        table.add_row(
            f"{row.fault}{' *' if row.cold else ''}",
            row.bare.text if row.bare else Text("has no such moment", "dim"),
            _kit(row),
            f"{lost} / {_lost(row.kit)}",
            f"{seconds} / {_seconds(row.kit)}",
        )
    console.print(table)
    console.print(
        "Steps lost and seconds: bare / kit. Seconds are to the first new step, with libraries imported beforehand; "
        "* with a cold start.",
        style="dim",
    )
    for text in report.differs:
        console.print(f"not as in the profile: {text}", style="dim")
    console.print(last_line(report), soft_wrap=True)


def last_line(report: Report) -> str:
    """The line that programs read: `drill passed` or `drill FAILED`, and how often each side went wrong."""
    tried = sum(row.left_out is None for row in report.rows)
    sides = "; ".join(
        f"{name}: {report.count(side, 'silent')} silent, {report.count(side, 'crashes', 'refused')} crash loops"
        for side, name in (("bare", "bare trainer"), ("kit", "the kit"))
    )
    word = "passed" if report.held else "FAILED"
    return f"drill {word} stage={report.stage} faults={tried} seconds={report.seconds:.0f} ({sides})"


def _kit(row: Row) -> Text:
    assert row.kit is not None
    told = row.kit.text if row.kit.resumed is None else f"{row.kit.text}, from step {row.kit.resumed}"
    return Text(told, "" if row.held else "red")


def _lost(finding: Finding | None) -> str:
    return "-" if finding is None or finding.lost is None else str(finding.lost)


def _seconds(finding: Finding | None) -> str:
    return "-" if finding is None or finding.seconds is None else f"{finding.seconds:.1f}"
