"""Datasets of feedback: questions that a service was asked, with the truths and replies that callers posted back."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import JsonValue

from cortex.artifacts.artifact import fetch
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.open_store import open_store
from cortex.artifacts.verify import verify
from cortex.domains.dataset_description import read_description, write_description
from cortex.domains.example_columns import EXAMPLES, SCHEMA, ExamplesCheck
from cortex.domains.feedback_section import Feedback
from cortex.domains.question import Conversation
from cortex.errors import ConfigError, DataError
from cortex.settings import Settings

KIND = "feedback"
"""The kind of these datasets in their manifests."""

PREFIX = "serving/datasets"
"""The folder of published datasets of feedback in a bucket."""

COLUMNS: dict[str, pl.DataType] = {
    "known_at": pl.Datetime("us", "UTC"),
    "judged": pl.Boolean(),
    "accepted": pl.String(),
    "rejected": pl.String(),
}
"""Columns beside those of every domain's examples.

`known_at` is the time from which all of the row was known. `judged` is true where `truth` holds an outcome. `accepted`
is a reply to imitate, `rejected` one that is worse than it; null where there is none.
"""


@dataclass(frozen=True)
class FeedbackExample:
    """One question with what was posted about it."""

    id: str
    messages: Conversation
    at: dt.datetime
    """The question's own time."""
    known_at: dt.datetime
    """The time from which all of the rest was known."""
    judged: bool
    """True where there is a truth."""
    truth: JsonValue = None
    accepted: str | None = None
    rejected: str | None = None
    columns: Mapping[str, object] = field(default_factory=dict[str, object])
    """The domain's own columns."""


def split_by_time(
    examples: Sequence[FeedbackExample], test_share: float, gap: dt.timedelta
) -> tuple[pl.DataFrame, Counter[str]]:
    """A table of examples, train before test, and the number of those left out by reason.

    The cut is the time before which all but `test_share` of the questions were asked. Training examples were asked and
    known before it; test examples were asked at least `gap` after it.
    """
    ordered = sorted(examples, key=lambda example: (example.at, example.id))
    place = round(len(ordered) * (1 - test_share))
    cut = ordered[place].at if place < len(ordered) else None
    left_out: Counter[str] = Counter()
    rows: list[dict[str, Any]] = []
    for example in ordered:
        if cut is None or (example.at < cut and example.known_at <= cut):
            rows.append(_row(example, "train"))
        elif example.at < cut:
            left_out["asked before the cut and known only after it"] += 1
        elif example.at >= cut + gap:
            rows.append(_row(example, "test"))
        else:
            left_out["in the gap after the cut"] += 1
    names = dict.fromkeys(name for row in rows for name in row)
    frame = pl.DataFrame(
        [{name: row.get(name) for name in names} for row in rows], schema_overrides={**SCHEMA, **COLUMNS},
        infer_schema_length=None,
    )  # fmt: skip
    return frame, left_out


def write_feedback(frame: pl.DataFrame, description: Mapping[str, Any], kind: str, output: Path) -> None:
    """Write a dataset's table and description into a folder.

    Raises:
        DataError: no example is for training.
    """
    if frame.is_empty() or not (frame["split"] == "train").any():
        raise DataError(f"no feedback to train on: {json.dumps(description.get('left_out', {}))}")
    ExamplesCheck(kind).add(frame)
    frame.write_parquet(output / EXAMPLES)
    counts = frame.group_by("split").agg(
        pl.len(), pl.col("at").min().dt.date().alias("first"), pl.col("at").max().dt.date().alias("last")
    )
    splits = {
        row["split"]: {"examples": row["len"], "first": row["first"], "last": row["last"]}
        for row in counts.sort("split", descending=True).iter_rows(named=True)
    }
    write_description(output, {**description, "splits": splits})


@dataclass(frozen=True)
class FeedbackDataset:
    """A dataset of feedback, verified."""

    name: str
    manifest: str
    """Digest of its manifest."""
    description: Mapping[str, Any]
    examples: pl.DataFrame


def open_feedback(feedback: Feedback, kind: str, form: str, settings: Settings) -> FeedbackDataset:
    """Find and verify the dataset that a domain's section names, on this machine or in the bucket.

    Raises:
        DataError: there is none, it is of another domain or form, or a byte differs from its manifest.
        ConfigError: its manifest is not the one that the section pins.
    """
    if folder := feedback.folder:
        verify(folder).require()
    else:
        place = f"{PREFIX}/{feedback.dataset}"
        folder = fetch(open_store(settings.bucket_url), place, settings.home.absolute() / "serving/datasets").path
    manifest = Manifest.read(folder)
    described = read_description(folder)
    if manifest.kind != KIND or described.get("domain") != kind:
        found = f"a {manifest.kind} of {described.get('domain')}"
        raise DataError(f"{feedback.dataset} is {found}: name feedback of {kind}, as `cortex feedback build` writes it")
    if feedback.manifest not in (None, manifest.digest):
        raise ConfigError(
            f"feedback.manifest is {feedback.manifest}, and {feedback.dataset} has {manifest.digest}: it was built anew"
        )
    if described.get("form") != form:
        raise DataError(f"{feedback.dataset} has {described.get('form')}, and the profile {form}: build it by this one")
    return FeedbackDataset(Path(feedback.dataset).name, manifest.digest, described, pl.read_parquet(folder / EXAMPLES))


def _row(example: FeedbackExample, split: str) -> dict[str, Any]:
    return {
        "id": example.id,
        "split": split,
        "cluster": example.at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "at": example.at,
        "messages": [message._asdict() for message in example.messages],
        "truth": json.dumps(example.truth),
        "known_at": example.known_at,
        "judged": example.judged,
        "accepted": example.accepted,
        "rejected": example.rejected,
        **example.columns,
    }
