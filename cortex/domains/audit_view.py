"""A domain's side of an audit: what its examples hold, and how to build them again after a change of the future."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import polars as pl

Tampering = Literal["shifted", "perturbed", "truncated"]
"""A change of all that became known after some time: moved earlier, replaced by other values, or left out."""

TAMPERINGS: tuple[Tampering, ...] = ("shifted", "perturbed", "truncated")


@dataclass(frozen=True)
class AuditView:
    """The parts of N examples that an audit compares."""

    tokens: "pl.Series"
    """Each question as a list of texts (N). Two questions are as alike as the share of tokens that they have in common;
    tokens that many questions have do not count."""
    alike: float
    """The share from which on two questions count as near-duplicates."""
    known: tuple[str, ...] = ()
    """Columns of numbers that are known when the question is asked."""
    series: str | None = None
    """The column that names the series to which an example belongs, such as a symbol."""
    outcome: "pl.Series | None" = None
    """The number that the truth is about, such as a return (N); None where truths are no numbers."""
    happened: "pl.Series | None" = None
    """The event whose probability is stated, from 0 to 1 (N); None where replies are right or wrong."""
    may_be_filled: bool = False
    """True where outcomes of exactly 0 in a row may come from prices that were filled forward."""
    notes: tuple[str, ...] = ()
    """Remarks on the examples, such as series that end early."""

    def filtered(self, mask: "pl.Series") -> "AuditView":
        """The view of some of the examples."""
        columns = {"tokens": self.tokens, "outcome": self.outcome, "happened": self.happened}
        kept = {name: None if column is None else column.filter(mask) for name, column in columns.items()}
        return replace(self, **kept)  # type: ignore[arg-type]


class Rebuilds(Protocol):
    """Examples built again from sources that are in memory."""

    @property
    def words(self) -> str:
        """The part of the sources that is used, such as `109 symbols`."""
        ...

    def examples(self, cut: dt.datetime | None, how: Tampering, seed: int) -> "pl.DataFrame":
        """The examples, after a change of all that became known after `cut`; without one, as they are.

        Raises:
            DataError: what is left is too short to build from.
        """
        ...
