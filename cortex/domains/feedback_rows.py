"""Feedback beside a domain's own examples: rows that would peek at held-out questions are left out, and counted."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from cortex.domains.domain import Domain
from cortex.domains.example_columns import SCHEMA
from cortex.domains.feedback_dataset import FeedbackDataset, open_feedback
from cortex.domains.feedback_replies import FeedbackReply, write_replies
from cortex.errors import DataError
from cortex.settings import Settings

_KEY = "_question"


class PartFeedback:
    """The feedback of one domain, and what of it the domain's own examples allow.

    A row's own question is known again by its text; where questions are timed, by its text and time.
    """

    def __init__(self, name: str, domain: Domain, settings: Settings) -> None:
        assert domain.feedback
        self._outcomes = outcomes = domain.outcomes()
        self.name, self.feedback, self._timed = name, domain.feedback, outcomes.timed
        self.dataset: FeedbackDataset = open_feedback(domain.feedback, str(domain.kind), outcomes.form, settings)
        self._rows = self._keyed(self.dataset.examples)
        self._known: dict[str, str] = {}
        """Split of each question that the domain's own examples hold, too."""
        self._held_from: dict[str, Any] = {}
        """The first time of each split of the domain's own."""
        self._schema: dict[str, pl.DataType] = {}
        self._with_nulls: set[str] = set()
        self._left_out: defaultdict[str, set[str]] = defaultdict(set)

    def see(self, own: pl.DataFrame) -> None:
        """Take note of some of the domain's own examples."""
        self._schema = dict(own.schema)
        self._with_nulls.update(column.name for column in own if column.null_count())
        shared = self._keyed(own).join(self._rows.select(_KEY), on=_KEY, how="semi")
        for key, split in shared.select(_KEY, "split").iter_rows():
            # A question that is held out anywhere is held out.
            self._known[key] = split if self._known.get(key, "train") == "train" else self._known[key]
        for split, first in own.group_by("split").agg(pl.col("at").min()).iter_rows():
            if first is not None:
                self._held_from[split] = min(first, self._held_from.get(split, first))

    def examples(self) -> pl.DataFrame:
        """The judged examples to add, in the columns of the domain's own: for training and, if asked, for test."""
        rows = self._rows.filter("judged")
        needed = {name for name in self._schema if name not in self._with_nulls and name not in SCHEMA}
        train = self._allowed(rows.filter(pl.col("split") == "train"), own=False)
        kept = [self._whole(train, needed - self._outcomes.only_judged)]
        if self.feedback.test:
            kept.append(self._whole(self._allowed_test(rows.filter(pl.col("split") == "test")), needed))
        added = pl.concat(kept)
        common = [pl.col(name).cast(kind) for name, kind in self._schema.items() if name in added.columns]
        return pl.concat([pl.DataFrame(schema=self._schema), added.select(common)], how="diagonal")

    def replies(self) -> Iterator[FeedbackReply]:
        """Replies to imitate, and pairs of a better and a worse one, for training."""
        rows = self._rows.filter((pl.col("split") == "train") & pl.col("accepted").is_not_null())
        kept = self._allowed(rows, own=True)
        for row in kept.select("id", "messages", "accepted", "rejected").iter_rows(named=True):
            yield FeedbackReply(**row)

    def account(self, trained: int, tested: int, replies: int) -> dict[str, Any]:
        """The account of this feedback for `dataset.json`."""
        used = {"train": trained, "test": tested, "replies": replies}
        named = {"dataset": self.dataset.name, "manifest": self.dataset.manifest}
        return {**named, "source": self.dataset.description.get("source"), **used, "left_out": self.left_out}

    @property
    def left_out(self) -> dict[str, int]:
        """Number of rows that are not used, by reason."""
        return {reason: len(ids) for reason, ids in self._left_out.items()}

    def _allowed(self, rows: pl.DataFrame, *, own: bool) -> pl.DataFrame:
        """The rows that may be trained on; with `own`, also those whose question is one of the training examples."""
        held = [key for key, split in self._known.items() if split != "train" or not own]
        fresh = rows.filter(~pl.col(_KEY).is_in(held))
        self._leave_out("questions that the domain's own examples hold", rows, fresh)
        start = min((self._held_from[name] for name in ("validation", "test") if name in self._held_from), default=None)
        if not self._timed or start is None:
            return fresh
        early = fresh.filter(pl.col("known_at") <= start)
        self._leave_out(f"known only after the held-out questions begin ({start:%Y-%m-%d})", fresh, early)
        return early

    def _allowed_test(self, rows: pl.DataFrame) -> pl.DataFrame:
        fresh = rows.filter(~pl.col(_KEY).is_in(list(self._known)))
        self._leave_out("questions that the domain's own examples hold", rows, fresh)
        start = self._held_from.get("test")
        late = fresh.filter(pl.col("at") >= start) if self._timed and start is not None else fresh
        self._leave_out("test questions from before the domain's own", fresh, late)
        return late

    def _leave_out(self, reason: str, before: pl.DataFrame, after: pl.DataFrame) -> None:
        if gone := set(before["id"]) - set(after["id"]):
            self._left_out[reason] |= gone

    def _whole(self, rows: pl.DataFrame, needed: Collection[str]) -> pl.DataFrame:
        whole = rows.drop_nulls(needed) if set(needed) <= set(rows.columns) else rows.clear()
        self._leave_out("without a value in each of the domain's columns", rows, whole)
        return whole

    def _keyed(self, rows: pl.DataFrame) -> pl.DataFrame:
        turn = pl.concat_str(pl.element().struct.field("role"), pl.element().struct.field("content"), separator="\n")
        text = pl.col("messages").list.eval(turn).list.join("\n")
        time = [pl.col("at").dt.epoch("us").cast(pl.String)] if self._timed else []
        return rows.with_columns(pl.concat_str(text, *time, separator="\n", ignore_nulls=True).alias(_KEY))


class FeedbackRows:
    """The feedback of a domain, or of the several domains in one."""

    def __init__(self, domain: Domain, settings: Settings) -> None:
        self._domain = domain
        single = domain.feedback is not None
        self._parts = {
            name: PartFeedback(name, part, settings) for name, part in domain.parts().items() if part.feedback
        }
        self._prefix = {name: "" if single else f"{name}/" for name in self._parts}
        self._counts: dict[str, tuple[int, int]] = dict.fromkeys(self._parts, (0, 0))

    def join(self, frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """The domain's own examples part by part, and after them those of feedback."""
        schema: Mapping[str, pl.DataType] = {}
        for frame in frames:
            schema = frame.schema
            for name, part in self._parts.items():
                part.see(self._domain.rows_of(name, frame))
            yield frame
        empty = pl.DataFrame(schema=schema)
        for name, part in self._parts.items():
            rows, before = part.examples(), self._prefix[name]
            self._counts[name] = int((rows["split"] == "train").sum()), int((rows["split"] == "test").sum())
            own = [column for column in rows.columns if column not in SCHEMA]
            named = rows.rename({column: f"{before}{column}" for column in own}).with_columns(
                pl.format(f"{before}{{}}", column).alias(column) for column in ("id", "cluster")
            )
            if named.height:
                yield pl.concat([empty, named], how="diagonal")

    def finish(self, output: Path) -> dict[str, Any]:
        """Write the replies into the dataset's folder, and return the account of all feedback.

        Raises:
            DataError: nothing of some domain's feedback can be used.
        """
        replies: list[FeedbackReply] = []
        accounts: dict[str, Any] = {}
        for name, part in self._parts.items():
            own = [reply.named(f"{self._prefix[name]}{reply.id}") for reply in part.replies()]
            replies += own
            accounts[name] = part.account(*self._counts[name], len(own))
            if not own and not any(self._counts[name]):
                reasons = ", ".join(f"{count} {reason}" for reason, count in part.left_out.items()) or "it is empty"
                raise DataError(
                    f"nothing of the feedback {part.dataset.name} can be used for {name}: {reasons}; give newer "
                    "feedback, a larger share of training examples, or leave `feedback` out"
                )
        write_replies(replies, output)
        return accounts
