"""The proof that no example knows its future: it is built again after a change of the future, and must be the same."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from cortex.auditing.audit_record import Check
from cortex.domains.audit_view import TAMPERINGS, AuditView, Rebuilds, Tampering
from cortex.errors import DataError

Found = tuple[Check, str]

_DONE = {"shifted": "moving", "perturbed": "replacing", "truncated": "leaving out"}


@dataclass
class RebuildCheck:
    """Compares the examples of a dataset with those that are built again."""

    rows: pl.DataFrame
    view: AuditView
    rebuilds: Rebuilds
    seed: int
    outcome_time: str | None
    """The column of the time from which a truth is known."""
    whole: bool
    """True where the dataset holds no examples of other sources, such as feedback."""
    tried: int = 0
    compared: int = 0
    notes: list[str] = field(default_factory=list[str])

    def run(self, quantiles: Sequence[float]) -> list[Found]:
        """Findings, at most one of a kind for each change of the future."""
        times = self.rows["at"].unique().sort()
        found: list[Found] = []
        # A cut is the time of a decision: data of the next moment must not be known to it.
        for cut in dict.fromkeys(times[int(share * (len(times) - 1))] for share in quantiles):
            for how in TAMPERINGS:
                try:
                    other = self.rebuilds.examples(cut, how, self.seed)
                except DataError as error:
                    self.notes.append(f"not built again with what became known after {cut:%Y-%m-%d} {how}: {error}")
                    continue
                self.tried += 1
                found += self._compare(other, cut, how)
        if any(check == "future" for check, _ in found) and (differs := self._differs()):
            return [("source", differs)]
        return found

    def words(self) -> str:
        """The account of what was tried."""
        return (
            f"{self.tried} times from {self.rebuilds.words}, with what became known later shifted, perturbed or "
            f"truncated; {self.compared:,} questions compared"
        )

    def _compare(self, other: pl.DataFrame, cut: dt.datetime, how: Tampering) -> list[Found]:
        rows = self._own(other)
        known = rows.filter(pl.col("at") <= cut)
        # Some are built from feedback, or left out where the splits' boundaries are others.
        pairs = known.join(other, on="id", suffix="_other", maintain_order="left")
        self.compared += pairs.height
        when = f"{_DONE[how]} what became known after {cut:%Y-%m-%d %H:%M}"
        found = self._changed_questions(pairs, when)
        end = self.outcome_time
        if end is None:
            return found
        over = pairs.filter(pl.col(end) <= cut)
        found += _count(
            "label", over.filter(pl.col("truth").ne_missing(pl.col("truth_other"))), f"{when} changes", "truths known"
        )
        if how == "truncated":
            found += self._labelled_without_a_future(rows, other, cut, end)
        if how == "perturbed":
            deaf = pairs.filter((pl.col(end) > cut) & (pl.col("truth") == pl.col("truth_other")))
            found += _count("label", deaf, f"{when} leaves the same", "truths that were to follow from it, known")
            if self.whole:
                gone = known.join(other, on="id", how="anti")
                found += _count("selection", gone, f"{when} removes", "examples decided")
        return found

    def _own(self, other: pl.DataFrame) -> pl.DataFrame:
        """The rows of the series that were built again."""
        series = self.view.series
        return self.rows if series is None else self.rows.filter(pl.col(series).is_in(other[series].unique().implode()))

    def _changed_questions(self, pairs: pl.DataFrame, when: str) -> list[Found]:
        columns = [name for name in ("messages", *self.view.known) if f"{name}_other" in pairs.columns]
        differs = {name: _text(name).ne_missing(_text(f"{name}_other")) for name in columns}
        changed = pairs.filter(pl.any_horizontal(differs.values()))
        if changed.is_empty():
            return []
        names = [name for name, expression in differs.items() if changed.select(expression.any()).item()]
        own = [name for name in names if name != "messages"] or ["the text"]
        first = changed.select("id", "at").sort("at").row(0)
        return [
            (
                "future",
                f"{when} changes {changed.height:,} of {pairs.height:,} questions asked before, such as {first[0]}, by "
                f"{', '.join(own[:4])}: they are built of later data",
            )
        ]

    def _labelled_without_a_future(
        self, rows: pl.DataFrame, other: pl.DataFrame, cut: dt.datetime, end: str
    ) -> list[Found]:
        early = other.filter(pl.col(end) > cut)
        later = rows.filter(pl.col(end) > cut).join(other, on="id", how="semi")
        invented = pl.concat([early.select("id"), later.select("id")]).unique(maintain_order=True)
        if invented.is_empty():
            return []
        return [
            (
                "label",
                f"{invented.height:,} examples have a truth from after {cut:%Y-%m-%d %H:%M} though there are no data "
                f"from then on, such as {invented['id'][0]}: it is carried forward from before",
            )
        ]

    def _differs(self) -> str | None:
        """The difference of the dataset from what its sources give without any change; None where there is none."""
        plain = self.rebuilds.examples(None, "shifted", self.seed)
        pairs = self._own(plain).join(plain, on="id", suffix="_other", maintain_order="left")
        changed = self._changed_questions(pairs, "")
        if not changed:
            return None
        return "the profile's sources give other examples than the dataset holds: build it anew, then audit it"


def _count(check: Check, rows: pl.DataFrame, begin: str, end: str) -> list[Found]:
    if rows.is_empty():
        return []
    return [(check, f"{begin} {rows.height:,} {end} before, such as {rows['id'][0]}")]


def _text(name: str) -> pl.Expr:
    """A column as it can be compared: conversations by their texts."""
    if name.removesuffix("_other") != "messages":
        return pl.col(name)
    turn = pl.concat_str(pl.element().struct.field("role"), pl.element().struct.field("content"), separator=": ")
    return pl.col(name).list.eval(turn).list.join("\n")
