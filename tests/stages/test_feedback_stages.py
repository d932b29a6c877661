"""Feedback from its records to the trainer's input: `feedback build`, then the stages `data` and `label`."""

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest

from cortex.artifacts.open_store import open_store
from cortex.domains.dataset import read_examples
from cortex.domains.domain import Domain
from cortex.domains.markets.market_endpoint import MarketEndpoint, MarketRequest
from cortex.domains.question import AskedQuestion
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run
from cortex.serving.feedback.feedback_records import FeedbackRecord, Record, Turn, to_line
from cortex.settings import Settings
from cortex.stages.best_of import SAMPLES
from cortex.teaching.review.decisions import Decision, Decisions, hash_answer
from cortex.trainers.axolotl_config import axolotl_config
from tests.conftest import Cortex
from tests.serving.feedback.records import answer
from tests.stages.test_label_providers import paid
from tests.teaching.endpoint import Teacher, serving

pytestmark = pytest.mark.integration

SMALL = {"domain.source.chains": 2, "domain.source.days": 400, "teacher.examples": 50}
POSTED = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def small(**overrides: object) -> Profile:
    return load_profile("rehearsal", {**SMALL, **{key.replace("__", "."): value for key, value in overrides.items()}})


def asked(domain: Domain, day: int) -> AskedQuestion:
    """A question about a day of the past, as the gateway asks it."""
    endpoint = domain.endpoint(domain.build(0, Settings()).description(), 0, Settings())
    assert isinstance(endpoint, MarketEndpoint)
    question = endpoint.question(MarketRequest(symbol="NEAR", date=f"2020-05-{day:02}"))
    assert isinstance(question, AskedQuestion)
    return question


def good(domain: Domain, day: int) -> str:
    """A reply that SFT may imitate, other than that of the run's own teacher."""
    question = asked(domain, day)
    replies = (domain.script(question, seed) for seed in range(1, 50))
    return next(reply for reply in replies if domain.imitable(question, reply).grade == "accepted")


def records(domain: Domain) -> list[Record]:
    """Four questions: an outcome, a thumb up, a better reply, and consent that was never followed by feedback.

    Their features differ from the data's own by a word, so that they are not among the own examples.
    """
    made: list[Record] = []
    posts = [
        {"outcome": {"return_pct": 2.5}, "known_at": dt.datetime(2020, 6, 1, tzinfo=dt.UTC)},
        {"thumb": "up"},
        {"thumb": "down", "better": good(domain, 3)},
        {},
    ]
    for number, post in enumerate(posts, 1):
        question = asked(domain, number)
        turns = (Turn(role="user", content=question.text + " asked"),)
        name = f"q{number}"
        reply = good(domain, number) if number != 3 else "no idea"
        made.append(answer(name, at=question.at, messages=turns, values=dict(question.values), reply=reply))
        if post:
            made.append(
                FeedbackRecord.model_validate({"request_id": name, "caller": "ada", "posted_at": POSTED, **post})
            )
    return made


def test_feedback_arrives_in_the_trainers_input(cortex: Cortex, tmp_path: Path) -> None:
    home, domain = tmp_path / "home", small().domain
    folder = home / "serving" / "feedback" / "one"
    folder.mkdir(parents=True)
    (folder / "2026-03-01-0000.jsonl").write_bytes(b"".join(map(to_line, records(domain))))
    listed = json.loads(cortex("feedback", "list", "--json").stdout)
    assert listed["domains"]["markets"]["requests"] == 4
    done = cortex("feedback", "build", "rehearsal", "--out", str(tmp_path / "told"), "--test-share", "0")
    assert done.returncode == 0 and "left out: 1 no feedback" in done.stdout, done.stderr
    digest = done.stdout.strip().rpartition("manifest ")[2]
    assert "asked" in cortex("dataset", "show", str(tmp_path / "told")).stdout

    told = pl.read_parquet(tmp_path / "told" / "examples.parquet").filter(pl.col("accepted").is_not_null())
    (spurned, spurned_reply), *kept = told.select("id", "accepted").rows()
    review = Decisions(tmp_path / "review")
    review.add(Decision(spurned, hash_answer(spurned_reply), "reject", "ann", "accepted"))
    review.seal({})
    with serving(Teacher(script=paid)) as server:
        provider = {"kind": "vllm", "url": server.url, "model": "m", "price": {"input": 1.0, "output": 2.0}}
        teacher = {"teacher__providers": [provider], "teacher__samples": 2, "teacher__quality": {}}
        profile = small(
            domain__feedback={"dataset": str(tmp_path / "told"), "manifest": digest},
            teacher__review=str(tmp_path / "review"),
            **teacher,
        )
        create_run(open_store(str(home / "bucket")), "with", profile)
        for stage in ("data", "label"):
            done = cortex("run", stage, "--run", "with")
            assert done.returncode == 0, done.stderr
    assert len(server.asked) == 100 and not any(prompt.endswith(" asked") for prompt in server.asked)
    data, plain = read_examples(home / "bucket/runs/with/data/artifact"), domain.build(0, Settings()).examples
    assert data.head(plain.height).equals(plain)
    assert data.tail(data.height - plain.height).select("split", "truth").rows() == [("train", "0.025")]
    described = json.loads((home / "bucket/runs/with/data/artifact/dataset.json").read_text())
    assert described["feedback"]["markets"]["manifest"] == digest and described["feedback"]["markets"]["replies"] == 2

    labels = home / "bucket/runs/with/label/artifact/accepted.jsonl"
    rows = {row["example_id"]: row["messages"] for row in map(json.loads, labels.read_text().splitlines())}
    for name, accepted in kept:
        assert rows[name][-1] == {"role": "assistant", "content": accepted}
    rejected = [json.loads(line) for line in (labels.parent / "rejected.jsonl").read_text().splitlines()]
    assert {row["example_id"]: row["reasons"] for row in rejected}[spurned] == ["review: rejected by ann"]
    sampled = [json.loads(line)["example_id"] for line in (labels.parent / SAMPLES).read_text().splitlines()]
    assert len(sampled) == 50 and not {spurned, *(name for name, _ in kept)} & set(sampled)
    config = axolotl_config(profile, "base", labels, tmp_path / "out", tmp_path / "prepared", None, validation=None)
    assert [item["path"] for item in config["datasets"]] == [str(labels)]
    summary = json.loads((labels.parent / "labels.json").read_text())
    assert summary["asked"] == 52, "fifty of the teacher, and two that callers approved of"
    account = summary["teachers"]["vllm"]
    assert (account["paid_replies"], account["answers"], float(account["dollars"])) == (100, 50, 0.02)
