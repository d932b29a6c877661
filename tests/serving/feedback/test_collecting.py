"""Datasets from recorded feedback: what consent, contradictions and time allow."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cortex.artifacts.manifest import Manifest
from cortex.artifacts.open_store import open_store
from cortex.artifacts.verify import verify
from cortex.domains.domain import Domain
from cortex.domains.gym.domain import Gym
from cortex.errors import DataError, RefusedError, UsageError
from cortex.serving.feedback.collecting import Collected, collect, read_feedback_folder
from cortex.serving.feedback.feedback_build import build_feedback, publish_feedback, pull_feedback
from cortex.serving.feedback.feedback_counts import count_feedback
from cortex.serving.feedback.feedback_records import Record, Turn, to_line
from tests.serving.feedback.records import DAY, MARKET, NOW, answer, outcome, rating, withdrawal

Keep = Callable[..., Path]


@pytest.fixture
def keep(tmp_path: Path) -> Keep:
    """Write records as a gateway does."""

    def write(*records: Record, gateway: str = "one") -> Path:
        root = tmp_path / "feedback"
        (root / gateway).mkdir(parents=True, exist_ok=True)
        (root / gateway / "2026-03-01-0000.jsonl").write_bytes(b"".join(map(to_line, records)))
        return root

    return write


def collected(root: Path, domain: Domain = MARKET, name: str = "markets", **options: Any) -> Collected:
    return collect(read_feedback_folder(root), domain, name, **options)


def test_an_outcome_is_the_truth_of_the_question_as_it_was_asked(keep: Keep) -> None:
    [example] = collected(keep(answer(), outcome())).examples
    assert (example.messages[0].content, example.truth, example.judged) == ("NEAR 1d a", 0.015, True)
    assert (example.at, example.known_at, example.accepted) == (NOW, NOW + DAY, None)
    assert example.columns == {"symbol": "NEAR", "mom7": 0.5, "outcome": 0.015, "outcome_time": NOW + DAY}
    assert "ada" not in example.id


def test_a_question_about_the_past_has_its_own_time(keep: Keep) -> None:
    past = NOW - 100 * DAY
    [example] = collected(keep(answer(at=past), outcome(known_at=past + DAY), rating(thumb="up"))).examples
    assert (example.at, example.known_at, example.accepted) == (past, past + DAY, "reply to a")


RATED: dict[str, tuple[list[dict[str, Any]], tuple[str | None, str | None]]] = {
    "up": ([{"thumb": "up"}], ("reply to a", None)),
    "down with better": ([{"thumb": "down", "better": "no"}], ("no", "reply to a")),
    "better alone": ([{"better": "no"}], ("no", "reply to a")),
    "a change of mind": ([{"thumb": "down", "better": "no"}, {"thumb": "up"}], ("reply to a", None)),
}


@pytest.mark.parametrize(("posts", "replies"), RATED.values(), ids=RATED)
def test_thumbs_are_replies_to_imitate_and_to_prefer(
    keep: Keep, posts: list[dict[str, Any]], replies: tuple[str | None, str | None]
) -> None:
    rated = [rating(posted_at=NOW + number * DAY, **post) for number, post in enumerate(posts)]
    [example] = collected(keep(answer(), *rated)).examples
    assert (example.accepted, example.rejected, example.judged) == (*replies, False)


LEFT_OUT: dict[str, list[Record]] = {
    "no feedback": [answer(), rating(comment="well")],
    "a thumb down alone": [answer(), rating(thumb="down")],
    "withdrawn": [answer(), outcome(), withdrawal()],
    "contradicting outcomes": [answer(), outcome(), outcome(pct=2)],
    "two requests under one id": [answer(), answer(reply="another"), outcome()],
    "asked in another form": [answer(form="full prompts, horizon 7 days"), outcome()],
    "outcomes from before they could be known": [answer(), outcome(known_at=NOW + DAY / 2)],
    "outcomes that the domain does not take": [answer(), outcome(outcome="up")],
    "equal questions with different outcomes": [
        answer(),
        outcome(),
        answer("b", messages=answer().messages),
        outcome("b", pct=-3),
    ],
}


@pytest.mark.parametrize(("reason", "records"), LEFT_OUT.items(), ids=LEFT_OUT)
def test_what_is_not_fit_is_left_out_with_its_reason(keep: Keep, reason: str, records: list[Record]) -> None:
    found = collected(keep(answer("fit"), outcome("fit"), *records))
    assert [example.messages[0].content for example in found.examples] == ["NEAR 1d fit"]
    assert set(found.left_out) == {reason}


def test_the_same_question_again_is_one_example_and_at_another_time_another(keep: Keep) -> None:
    same = answer().messages
    again, later = answer("b", messages=same), answer("c", messages=same, asked_at=NOW + DAY)
    records = [answer(), again, later, rating("a", thumb="up"), outcome("b"), outcome("c", known_at=NOW + 2 * DAY)]
    found = collected(keep(*records))
    assert [example.judged for example in found.examples] == [True, True]
    assert found.left_out == {"the same question again": 1}


def test_another_callers_post_says_nothing_about_a_request(keep: Keep) -> None:
    found = collected(keep(answer(), outcome(caller="bob")))
    assert not found.examples and found.left_out == {"no feedback": 1}


def test_chats_are_used_where_that_is_asked_for_and_another_domain_never(keep: Keep) -> None:
    turns = (Turn(role="system", content="Be brief."), Turn(role="user", content="Hello"))
    chat = answer("chat", domain=None, form="", messages=turns)
    root = keep(chat, rating("chat", thumb="up"), answer("b", domain="gym"), rating("b", thumb="up"))
    assert not collected(root).examples
    [example] = collected(root, chats=True).examples
    assert [turn.role for turn in example.messages] == ["system", "user"] and not example.judged


def test_a_domain_without_outcomes_has_thumbs(keep: Keep) -> None:
    records = [answer("b", domain="gym", form=""), rating("b", thumb="up")]
    records += [answer("c", domain="gym", form=""), outcome("c")]
    found = collected(keep(*records), Gym.model_validate({"kind": "gym"}), "gym")
    assert [example.accepted for example in found.examples] == ["reply to b"]
    assert found.left_out == {"outcomes that the domain does not take": 1}


def build(root: Path, out: Path, **changes: Any) -> dict[str, Any]:
    options = {"test_share": 0.25, "gap": dt.timedelta(days=1), "chats": False, **changes}
    return build_feedback(root, MARKET, "markets", out, **options)


def many(count: int = 12) -> list[Record]:
    """A question a day, each with its outcome a day later."""
    asked = [answer(f"q{number}", asked_at=NOW + number * DAY) for number in range(count)]
    return [*asked, *(outcome(each.request_id, known_at=each.asked_at + DAY) for each in asked)]


def test_a_built_dataset_is_verified_described_and_the_same_again(keep: Keep, tmp_path: Path) -> None:
    root = keep(*many(), gateway="one")
    keep(answer("w", asked_at=NOW), withdrawal("w"), gateway="two")
    made, again = build(root, tmp_path / "out"), build(root, tmp_path / "again")
    assert verify(tmp_path / "out").ok and made["manifest"] == again["manifest"]
    assert Manifest.read(tmp_path / "out").kind == "feedback"
    described = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert described["source"]["gateways"] == ["one", "two"]
    assert described["source"]["models"] == {"small abababababab model": 12}
    assert described["left_out"] == {"in the gap after the cut": 1, "withdrawn": 1}
    assert {name: split["examples"] for name, split in described["splits"].items()} == {"train": 9, "test": 2}
    frame = pl.read_parquet(tmp_path / "out" / "examples.parquet")
    assert frame["outcome"].to_list() == [0.015] * 11 and "comment" not in frame.columns
    everything = b"".join(file.read_bytes() for file in (tmp_path / "out").iterdir())
    assert b'"ada"' not in everything and str(tmp_path).encode() not in everything
    with pytest.raises(UsageError, match="not empty"):
        build(root, tmp_path / "out")


def test_an_outcome_that_was_known_after_the_cut_is_not_trained_on(keep: Keep, tmp_path: Path) -> None:
    records = many()
    late = next(record for record in records if record.request_id == "q2" and record.kind == "feedback")
    records[records.index(late)] = outcome("q2", known_at=NOW + 30 * DAY)
    made = build(keep(*records), tmp_path / "out")
    assert made["left_out"]["asked before the cut and known only after it"] == 1
    frame = pl.read_parquet(tmp_path / "out" / "examples.parquet")
    train, test = (frame.filter(pl.col("split") == split) for split in ("train", "test"))
    last, first = train["known_at"].max(), test["at"].min()
    assert isinstance(last, dt.datetime) and isinstance(first, dt.datetime) and last + DAY <= first


def test_nothing_is_written_where_there_is_nothing(keep: Keep, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no feedback to train on.*withdrawn"):
        build(keep(answer(), outcome(), withdrawal()), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_feedback_is_pulled_from_the_bucket_and_a_dataset_published_there(keep: Keep, tmp_path: Path) -> None:
    store, root = open_store(str(tmp_path / "bucket")), keep(*many())
    file = root / "one" / "2026-03-01-0000.jsonl"
    store.put("serving/feedback/one/2026-03-01-0000.jsonl", file.read_bytes())
    assert pull_feedback(store, root) == (0, 1)
    assert pull_feedback(store, tmp_path / "elsewhere") == (1, 1)
    fetched = tmp_path / "elsewhere" / "one" / "2026-03-01-0000.jsonl"
    assert fetched.read_bytes() == file.read_bytes() and fetched.stat().st_mode & 0o777 == 0o600
    build(root, tmp_path / "out")
    digest = publish_feedback(tmp_path / "out", store, "november")
    assert verify(tmp_path / "bucket" / "serving" / "datasets" / "november").ok
    assert digest == Manifest.read(tmp_path / "out").digest
    keep(*many(13))
    build(root, tmp_path / "more")
    with pytest.raises(RefusedError, match="already holds another"):
        publish_feedback(tmp_path / "more", store, "november")
    with pytest.raises(UsageError, match="write a name"):
        publish_feedback(tmp_path / "more", store, "../november")


def test_counts_say_what_there_is(keep: Keep) -> None:
    root = keep(answer(), outcome(), answer("b"), rating("b", thumb="down", better="no"), answer("c"), withdrawal("c"))
    (root / "one" / "2026-03-02-0000.jsonl").write_bytes(to_line(answer("d"))[:50])
    recorded = read_feedback_folder(root)
    assert recorded.unreadable == 1
    assert count_feedback(recorded) == {
        "markets": {"requests": 3, "outcomes": 1, "thumbs": 1, "better replies": 1, "withdrawn": 1}
    }
