"""Feedback beside a domain's own examples: trained on, never held out by accident, and never peeking."""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cortex.artifacts.artifact import describe, publish
from cortex.artifacts.folders import write_whole
from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.artifacts.open_store import open_store
from cortex.domains.dataset import build_dataset, read_description, read_examples
from cortex.domains.domain import Domain
from cortex.domains.feedback_dataset import KIND, PREFIX, FeedbackExample, split_by_time, write_feedback
from cortex.domains.feedback_replies import read_replies
from cortex.domains.markets.domain import Markets
from cortex.domains.markets.examples import ORACLE
from cortex.domains.mixture import read_described
from cortex.domains.question import Message
from cortex.errors import ConfigError, DataError, VerificationError
from cortex.settings import Settings

MARKET: dict[str, Any] = {
    "kind": "markets",
    "style": "compact",
    "source": {"kind": "simulator", "chains": 2, "days": 300},
}
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
EARLY = dt.datetime(2020, 5, 1, 7, tzinfo=dt.UTC)
"""A time within the training split of the market."""


@pytest.fixture(scope="module")
def own() -> pl.DataFrame:
    """The market's own examples."""
    return Markets.model_validate(MARKET).build(0, Settings()).examples


@pytest.fixture(scope="module")
def features(own: pl.DataFrame) -> dict[str, object]:
    names = [name for name in own.columns[own.columns.index("outcome_time") + 1 :] if not name.startswith("oracle")]
    return {"symbol": "NEAR", **dict.fromkeys(names, 0.5)}


Make = Callable[..., FeedbackExample]


@pytest.fixture
def make(features: dict[str, object]) -> Make:
    def example(number: int, at: dt.datetime = EARLY, **values: Any) -> FeedbackExample:
        known = values.pop("known_at", at + DAY)
        columns = {**features, "outcome": 0.02, "outcome_time": known}
        turns = values.pop("messages", (Message("user", f"NEAR 1d asked:{number}"),))
        given = {"judged": True, "truth": 0.02, "columns": columns, **values}
        return FeedbackExample(f"feedback-{number}", turns, at, known, **given)

    return example


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a dataset of feedback as `cortex feedback build` does."""

    def build(examples: Sequence[FeedbackExample], test_share: float = 0.0, **changes: object) -> Path:
        folder = tmp_path / f"feedback-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        frame, _ = split_by_time(examples, test_share, DAY)
        form = Markets.model_validate(MARKET).outcomes().form
        described = {"domain": "markets", "form": form, "source": {"name": "gateway"}, **changes}
        write_feedback(frame, described, "markets", folder)
        write_whole(folder / MANIFEST, describe(folder, kind=KIND).data)
        return folder

    return build


def market(folder: object, **feedback: object) -> Domain:
    return Markets.model_validate({**MARKET, "feedback": {"dataset": str(folder), **feedback}})


def built(domain: Domain, out: Path) -> tuple[pl.DataFrame, dict[str, Any]]:
    build_dataset(domain, 0, Settings(), out)
    return read_examples(out), read_description(out)


def test_a_section_without_feedback_is_written_as_before_there_was_any() -> None:
    domain = Markets.model_validate(MARKET)
    assert "feedback" not in domain.model_dump(mode="json")
    named = market("/a/b")
    assert named.model_dump(mode="json")["feedback"] == {"dataset": "/a/b", "manifest": None, "test": False}
    assert Markets.model_validate(named.model_dump(mode="json")) == named
    assert Markets.model_validate({**MARKET, "feedback": "/a/b"}) == named


def test_feedback_is_added_to_the_training_examples_alone(
    make: Make, write: Callable[..., Path], own: pl.DataFrame, tmp_path: Path
) -> None:
    folder = write([make(1), make(2, EARLY + HOUR, accepted="as good", rejected="bad")])
    examples, described = built(market(folder), tmp_path / "out")
    assert examples.head(own.height).equals(own)
    added = examples.tail(2)
    assert added["split"].to_list() == ["train", "train"] and added["truth"].to_list() == ["0.02", "0.02"]
    assert added["outcome"].to_list() == [0.02, 0.02] and added["symbol"].to_list() == ["NEAR", "NEAR"]
    account = described["feedback"]["markets"]
    assert (account["train"], account["test"], account["replies"]) == (2, 0, 1)
    assert account["manifest"] == Manifest.read(folder).digest and account["dataset"] == folder.name
    assert str(tmp_path) not in json.dumps(described)
    [reply] = read_replies(tmp_path / "out")
    assert (reply.accepted, reply.rejected, reply.question.text) == ("as good", "bad", "NEAR 1d asked:2")


def test_what_would_peek_is_left_out_and_counted(
    make: Make, write: Callable[..., Path], own: pl.DataFrame, tmp_path: Path
) -> None:
    held = own.filter(pl.col("split") != "train")
    start = held["at"].min()
    assert isinstance(start, dt.datetime)
    tested = own.filter(pl.col("split") == "test").row(3, named=True)
    same = tuple(Message(**turn) for turn in tested["messages"])
    trained = own.filter(pl.col("split") == "train").row(0, named=True)
    again = tuple(Message(**turn) for turn in trained["messages"])
    rows = [
        make(1),
        make(2, start - DAY, known_at=start),
        make(3, start - DAY + HOUR, known_at=start + HOUR),
        make(4, start + 400 * DAY),
        make(5, tested["at"], messages=same),
        make(6, trained["at"], messages=again),
    ]
    examples, described = built(market(write(rows)), tmp_path / "out")
    assert examples.filter(pl.col("id").str.starts_with("feedback"))["id"].to_list() == ["feedback-1", "feedback-2"]
    left = described["feedback"]["markets"]["left_out"]
    assert left == {
        "questions that the domain's own examples hold": 2,
        f"known only after the held-out questions begin ({start:%Y-%m-%d})": 2,
    }


def test_feedback_of_which_nothing_can_be_used_is_refused(
    make: Make, write: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"nothing of the feedback .* known only after the held-out questions begin"):
        built(market(write([make(1, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))])), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_test_questions_are_added_only_where_they_are_asked_for(
    make: Make, write: Callable[..., Path], own: pl.DataFrame, tmp_path: Path
) -> None:
    late = own["at"].max()
    assert isinstance(late, dt.datetime)
    known = dict.fromkeys(ORACLE, 0.5)
    in_the_gap, *tested = [make(number, late + (10 + number) * DAY) for number in range(3)]
    tested[0] = replace(tested[0], columns={**tested[0].columns, **known})
    folder = write([make(9), in_the_gap, *tested], test_share=0.75)
    count = own.filter(pl.col("split") == "test").height
    examples, _ = built(market(folder), tmp_path / "without")
    assert examples.filter(pl.col("split") == "test").height == count
    examples, described = built(market(folder, test=True), tmp_path / "with")
    assert examples.filter(pl.col("split") == "test").height == count + 1
    account = described["feedback"]["markets"]
    assert account["test"] == 1 and sum(account["left_out"].values()) == 1, "the judges would lack a best forecast"


def test_a_dataset_that_is_not_the_one_that_is_meant_is_refused(
    make: Make, write: Callable[..., Path], tmp_path: Path
) -> None:
    folder = write([make(1)])
    with pytest.raises(ConfigError, match="it was built anew"):
        built(market(folder, manifest="0" * 64), tmp_path / "out")
    with pytest.raises(DataError, match="of gym: name feedback of markets"):
        built(market(write([make(1)], domain="gym")), tmp_path / "out")
    with pytest.raises(DataError, match="build it by this one"):
        built(market(write([make(1)], form="full prompts")), tmp_path / "out")
    with pytest.raises(DataError):
        built(market("no-such-name"), tmp_path / "out")
    file = folder / "examples.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(VerificationError):
        built(market(folder), tmp_path / "out")


def test_a_published_dataset_is_found_by_its_name(
    make: Make, write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORTEX_BUCKET", str(tmp_path / "bucket"))
    publish(write([make(1)]), open_store(str(tmp_path / "bucket")), f"{PREFIX}/november", kind=KIND, keep=True)
    examples, described = built(market("november"), tmp_path / "out")
    assert examples["id"][-1] == "feedback-1" and described["feedback"]["markets"]["dataset"] == "november"


def test_rows_without_the_domains_columns_are_left_out(make: Make, write: Callable[..., Path], tmp_path: Path) -> None:
    bare = make(2, EARLY + HOUR)
    columns = {name: value for name, value in bare.columns.items() if name != "mom7"}
    examples, described = built(market(write([make(1), replace(bare, columns=columns)])), tmp_path / "out")
    assert examples["id"][-1] == "feedback-1"
    assert described["feedback"]["markets"]["left_out"] == {"without a value in each of the domain's columns": 1}


def test_feedback_of_one_of_several_domains_is_that_domains_own(
    make: Make, write: Callable[..., Path], tmp_path: Path
) -> None:
    folder = write([make(1, accepted="as good")])
    parts = [{"name": "daily", "domain": {**MARKET, "feedback": str(folder)}}, {"name": "plain", "domain": MARKET}]
    domain = read_described({"kind": "mixture", "domains": parts})
    examples, described = built(domain, tmp_path / "out")
    added = examples.row(-1, named=True)
    assert added["id"] == "daily/feedback-1" and added["daily/outcome"] == 0.02 and added["plain/outcome"] is None
    assert list(described["feedback"]) == ["daily"]
    assert read_replies(tmp_path / "out")[0].id == "daily/feedback-1"
    with pytest.raises(ValueError, match="name it in that domain's section"):
        read_described({"kind": "mixture", "domains": parts, "feedback": str(folder)})


def test_a_split_by_time_leaves_a_gap_and_out_what_was_known_too_late(make: Make) -> None:
    examples = [make(number, EARLY + number * DAY) for number in range(10)]
    examples[3] = replace(examples[3], known_at=EARLY + 30 * DAY)
    frame, left = split_by_time(examples, 0.3, 2 * DAY)
    splits = dict(frame.select("id", "split").iter_rows())
    assert splits == {f"feedback-{number}": "train" for number in (0, 1, 2, 4, 5, 6)} | {"feedback-9": "test"}
    assert left == {"asked before the cut and known only after it": 1, "in the gap after the cut": 2}
    trained = frame.filter(pl.col("split") == "train")["known_at"].max()
    tested = frame.filter(pl.col("split") == "test")["at"].min()
    assert isinstance(trained, dt.datetime) and isinstance(tested, dt.datetime) and trained + 2 * DAY <= tested


def test_nothing_to_train_on_is_said(write: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="no feedback to train on"):
        write([])
