"""Account of a pull: the rows that a domain's source gave, what they cost, and what cannot be had."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class PullReport:
    """One source's account, in words that a terminal can show."""

    source: str
    """Service or package that made the rows."""
    rows: int
    span: str
    """Names and times that the rows have, in words."""
    gaps: tuple[str, ...]
    """Times without rows, in words."""
    cost: str
    absent: tuple[str, ...]
    """Things asked for that the source does not have, in words."""

    def to_json(self) -> dict[str, Any]:
        """The account as JSON values."""
        return asdict(self)

    def lines(self) -> tuple[str, ...]:
        """The account, a line each."""
        return (
            f"made by       {self.source}",
            f"rows          {self.rows:,}",
            f"span          {self.span}",
            *(f"gap           {gap}" for gap in self.gaps or ("none",)),
            f"cost          {self.cost}",
            *(f"cannot be had {words}" for words in self.absent or ("all that was asked for is there",)),
        )
