"""Feedback posted to a gateway: by the caller who asked, with consent, and kept through kills."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from cortex.artifacts.open_store import open_store
from cortex.serving.api_keys import make_key, write_key
from cortex.serving.feedback.collecting import collect, read_feedback_folder
from cortex.serving.feedback.feedback_records import AnswerRecord, Record, read_record_file
from tests.serving.conftest import HELLO, Gateway, start, until
from tests.serving.feedback.records import MARKET
from tests.serving.test_gateway import FORECAST, STREAM

pytestmark = pytest.mark.integration

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
YES = {"X-Cortex-Consent": "train"}
NEAR = {"symbol": "NEAR", "date": "2020-07-01"}
KNOWN = "2020-07-03T00:00:00Z"
RISE = {"outcome": {"return_pct": 1.5}, "known_at": KNOWN}


def add_keys(bucket: Path) -> dict[str, str]:
    """Keys of ada and bob for all, of eve for chats alone; by holder."""
    texts: dict[str, str] = {}
    for name in ("ada", "bob", "eve"):
        scopes = ("chat",) if name == "eve" else ("domains", "chat", "metrics", "feedback")
        texts[name], record = make_key(name, scopes, 10_000, NOW)
        write_key(open_store(str(bucket)), record)
    return texts


class Caller:
    """A holder of a key, at a gateway that keeps feedback."""

    def __init__(self, gateway: Gateway, key: str) -> None:
        self.gateway, self._headers = gateway, {"Authorization": f"Bearer {key}"}

    def ask(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        return self.gateway.post(path, body, headers={**self._headers, **headers})

    def forecast(self, **headers: str) -> str:
        """Ask for a forecast with consent, and return its request's id."""
        return self.ask("/v1/forecast", NEAR, **YES, **headers).json()["request_id"]

    def say(self, request_id: str, **values: Any) -> httpx2.Response:
        return self.ask("/v1/feedback", {"request_id": request_id, "consent": True, **values})

    def withdraw(self, request_id: str) -> httpx2.Response:
        with self.gateway.client() as client:
            return client.delete(f"/v1/feedback/{request_id}", headers=self._headers)


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, dict[str, str]]]:
    """A gateway that keeps feedback, with the keys of its callers."""
    folder, bucket = tmp_path_factory.mktemp("keeping"), tmp_path_factory.mktemp("bucket")
    keys = add_keys(bucket)
    gateway = start(folder, bucket=bucket, feedback=1, body_bytes=200_000)
    gateway.reply(FORECAST)
    yield gateway, keys
    gateway.process.kill()
    gateway.process.wait()


@pytest.fixture
def ada(keeping: tuple[Gateway, dict[str, str]]) -> Caller:
    return Caller(keeping[0], keeping[1]["ada"])


@pytest.fixture
def bob(keeping: tuple[Gateway, dict[str, str]]) -> Caller:
    return Caller(keeping[0], keeping[1]["bob"])


def records(gateway: Gateway) -> list[Record | None]:
    root = gateway.folder / "home" / "serving" / "feedback"
    return [record for file in sorted(root.glob("*/*.jsonl")) for record in read_record_file(file)]


def answers(gateway: Gateway) -> list[AnswerRecord]:
    return [record for record in records(gateway) if isinstance(record, AnswerRecord)]


def test_by_default_nothing_is_kept_and_there_is_no_such_route(own: Callable[..., Gateway]) -> None:
    gateway = own()
    gateway.reply(FORECAST)
    answer = gateway.post("/v1/forecast", NEAR, headers=YES).json()
    assert gateway.post("/v1/feedback", {"request_id": answer["request_id"], "consent": True}).status_code == 404
    assert not (gateway.folder / "home").exists()


def test_only_what_its_caller_allowed_is_kept_with_all_that_it_rests_on(ada: Caller) -> None:
    before = len(answers(ada.gateway))
    refused = [ada.ask("/v1/forecast", NEAR).json()["request_id"]]
    refused.append(ada.ask("/v1/forecast", NEAR, **{"X-Cortex-Consent": "no"}).json()["request_id"])
    kept = ada.forecast()
    until(lambda: len(answers(ada.gateway)) > before, "its record")
    [record] = answers(ada.gateway)[before:]
    assert record.request_id == kept and record.reply == FORECAST and record.model == "rehearsal"
    assert record.at == dt.datetime(2020, 7, 2, tzinfo=dt.UTC) and record.manifest == "0" * 64
    assert record.values["symbol"] == "NEAR" and record.form == MARKET.outcomes().form
    assert record.arm == "default rehearsal"
    assert [ada.say(name, thumb="up").status_code for name in (*refused, kept)] == [404, 404, 200]


def test_an_outcome_is_taken_once_and_a_contradiction_is_refused(ada: Caller) -> None:
    name = ada.forecast()
    first = ada.say(name, **RISE, comment="as foretold")
    assert first.status_code == 200 and first.json()["outcome"] is True, first.text
    count = len(records(ada.gateway))
    assert ada.say(name, **RISE, comment="as foretold").json() == first.json()
    assert len(records(ada.gateway)) == count, "the same again changes nothing"
    other = ada.say(name, outcome={"return_pct": -1}, known_at=KNOWN)
    assert other.status_code == 409 and "the first one stays" in other.json()["error"]["message"]
    assert ada.say(name, outcome={"return_pct": 1.5}, known_at="2020-07-04T00:00:00Z").status_code == 409
    assert ada.say(name, thumb="down", better=FORECAST.replace("0.6", "0.7")).json()["better"] is True


def test_another_keys_request_is_not_told_from_none(ada: Caller, bob: Caller) -> None:
    name = ada.forecast()
    foreign, unknown = bob.say(name, thumb="up"), bob.say("no-such-request", thumb="up")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json() == unknown.json()
    assert bob.withdraw(name).status_code == 404
    eve = Caller(ada.gateway, bob._headers["Authorization"])
    assert eve.say(name, thumb="up").status_code == 401


def test_a_key_for_chats_alone_posts_no_feedback(keeping: tuple[Gateway, dict[str, str]]) -> None:
    eve = Caller(keeping[0], keeping[1]["eve"])
    assert eve.ask("/v1/chat/completions", HELLO, **YES).status_code == 200
    assert eve.say("anything", thumb="up").status_code == 403


def test_consent_is_taken_back_for_good(ada: Caller) -> None:
    names = [ada.forecast(), ada.forecast()]
    for name in names:
        ada.say(name, **RISE)
    gone = [ada.withdraw(names[0]), ada.ask("/v1/feedback", {"request_id": names[1], "consent": False})]
    for answer in (*gone, ada.withdraw(names[0])):
        assert answer.status_code == 200 and answer.json()["withdrawn"] and "leave this request out" in answer.text
    assert ada.say(names[0], thumb="up").status_code == 409
    root = ada.gateway.folder / "home" / "serving" / "feedback"
    assert collect(read_feedback_folder(root), MARKET, "markets").left_out["withdrawn"] == 2


def test_chats_streams_and_batches_have_feedback_too(ada: Caller) -> None:
    parts = {
        **HELLO,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]}],
    }
    whole = ada.ask("/v1/chat/completions", parts, **YES).headers["x-request-id"]
    stream = ada.ask("/v1/chat/completions", STREAM, **YES).headers["x-request-id"]
    until(lambda: {whole, stream} <= {record.request_id for record in answers(ada.gateway)}, "both records")
    kept = {record.request_id: record for record in answers(ada.gateway)}
    assert kept[whole].reply == FORECAST and kept[whole].messages[0].content == "hello"
    assert kept[stream].reply.split() == FORECAST.split() and kept[stream].domain is None
    assert ada.say(stream, thumb="up").status_code == 200
    assert ada.say(whole, **RISE).status_code == 422, "a chat has no outcome"
    batch = ada.ask("/v1/forecast/batch", {"requests": [NEAR, {**NEAR, "date": "2020-07-02"}]}, **YES).json()
    first, second = (answer["request_id"] for answer in batch)
    assert first != second
    assert ada.say(first, **RISE).status_code == ada.say(second, thumb="up").status_code == 200


def test_a_stream_that_its_client_left_is_not_kept(ada: Caller) -> None:
    ada.gateway.tell("slow")
    with (
        ada.gateway.client() as client,
        client.stream("POST", "/v1/chat/completions", json=STREAM, headers={**ada._headers, **YES}) as answer,
    ):
        name = answer.headers["x-request-id"]
        next(answer.iter_raw())
    ada.gateway.tell("")
    until(lambda: ada.gateway.asked[-1] == "aborted", "its end")
    assert ada.say(name, thumb="up").status_code == 404


def test_an_id_that_two_requests_had_is_of_neither(ada: Caller) -> None:
    again = {"X-Request-Id": "twice"}
    assert ada.forecast(**again) == ada.forecast(**again) == "twice"
    assert ada.say("twice", thumb="up").status_code == 200, "a retry is the same request"
    ada.ask("/v1/forecast", {**NEAR, "date": "2020-07-05"}, **YES, **again)
    assert ada.say("twice", thumb="up", comment="which?").status_code == 409


WRONG: dict[str, tuple[dict[str, Any] | bytes, str]] = {
    "nothing said": ({}, "post a thumb"),
    "another thumb": ({"thumb": "sideways"}, "thumb"),
    "up and better": ({"thumb": "up", "better": "no"}, "leave out thumb or better"),
    "a large comment": ({"thumb": "up", "comment": "x" * 2001}, "comment"),
    "a large outcome": ({"outcome": ["x" * 20_000], "known_at": KNOWN}, "more than 10,000 letters"),
    "no time": ({"outcome": {"return_pct": 1}}, "belong together"),
    "a time alone": ({"known_at": KNOWN, "thumb": "up"}, "belong together"),
    "a time without a zone": ({**RISE, "known_at": "2020-07-03T00:00:00"}, "known_at"),
    "the future": ({**RISE, "known_at": "2099-01-01T00:00:00Z"}, "in the future: it is 20"),
    "before the horizon's end": ({**RISE, "known_at": "2020-07-02T12:00:00Z"}, "cannot have been known before 20"),
    "another form": ({**RISE, "outcome": "up"}, "an outcome is {"),
    "an unknown key of it": ({**RISE, "outcome": {"return": 1}}, "an outcome is {"),
    "less than everything": ({**RISE, "outcome": {"return_pct": -100}}, "return_pct"),
    "half the closes": ({**RISE, "outcome": {"close": 3}}, "an outcome is {"),
    "an unknown key": ({"thumb": "up", "truth": 1}, "truth"),
    "not a number": (b'"outcome": {"return_pct": NaN}, "known_at": "%s"' % KNOWN.encode(), ""),
    "deep": (b'"thumb": "up", "outcome": ' + b"[" * 50_000 + b"]" * 50_000, ""),
    "nested": (b'"known_at": "%s", "outcome": ' % KNOWN.encode() + b"[" * 200 + b"]" * 200, "an outcome is {"),
    "nested too far": (b'"known_at": "%s", "outcome": ' % KNOWN.encode() + b"[" * 900 + b"]" * 900, "outcome"),
    "an id of another form": ({"request_id": "a/b", "thumb": "up"}, "request_id"),
    "no consent": ({"consent": None, "thumb": "up"}, "consent"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "message"), WRONG.values(), ids=WRONG)
def test_wrong_feedback_is_refused_with_its_reason(ada: Caller, body: dict[str, Any] | bytes, message: str) -> None:
    name = ada.forecast()
    until(lambda: any(record.request_id == name for record in answers(ada.gateway)), "its record")
    count = len(records(ada.gateway))
    given = {"request_id": name, "consent": True}
    if isinstance(body, bytes):
        data = json.dumps(given).encode()[:-1] + b", " + body + b"}"
    else:
        data = json.dumps({**given, **body}).encode()
    with ada.gateway.client() as client:
        headers = {"Content-Type": "application/json", **ada._headers}
        answer = client.post("/v1/feedback", content=data, headers=headers)
    assert answer.status_code in (400, 422), answer.text
    assert message in answer.json()["error"]["message"]
    assert len(records(ada.gateway)) == count


def test_a_kill_costs_no_feedback_that_was_answered(own: Callable[..., Gateway], tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    keys = add_keys(bucket)
    gateway = own(bucket=bucket, feedback=1)
    gateway.reply(FORECAST)
    ada = Caller(gateway, keys["ada"])
    name = ada.forecast()
    assert ada.say(name, **RISE).status_code == 200
    gateway.process.kill()
    gateway.process.wait()
    [file] = (gateway.folder / "home" / "serving" / "feedback").glob("*/*.jsonl")
    with file.open("ab") as log:
        log.write(b'{"kind":"answer","request_id":"to')
    again = start(gateway.folder, bucket=bucket, feedback=1)
    try:
        ada = Caller(again, keys["ada"])
        assert ada.say(name, outcome={"return_pct": 7}, known_at=KNOWN).status_code == 409
        assert ada.say(name, thumb="up").json()["outcome"] is True
        assert "1 lines cannot be read" in again.said()
        recorded = read_feedback_folder(gateway.folder / "home" / "serving" / "feedback")
        assert recorded.unreadable == 1 and len(collect(recorded, MARKET, "markets").examples) == 1
    finally:
        again.process.kill()
        again.process.wait()


def test_where_nothing_more_can_be_kept_answers_go_on(own: Callable[..., Gateway]) -> None:
    gateway = own(feedback=1)
    gateway.reply(FORECAST)
    [folder] = (gateway.folder / "home" / "serving" / "feedback").iterdir()
    (folder / "lock").unlink()
    folder.rmdir()  # as a disk that takes nothing
    answer = gateway.post("/v1/forecast", NEAR, headers=YES)
    assert answer.status_code == 200 and answer.json()["answer"]["p_up"] == 0.6
    until(lambda: gateway.metric("cortex_feedback_lost") == 1, "the count of it")
    post = {"request_id": answer.json()["request_id"], "consent": True, "thumb": "up"}
    assert gateway.post("/v1/feedback", post).status_code == 404
    assert gateway.end() == 0


def test_two_gateways_of_a_bucket_know_one_anothers_requests(own: Callable[..., Gateway], tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    one, two = (own(feedback=1, feedback_seconds=0.2, words=["--feedback", str(bucket)]) for _ in range(2))
    one.reply(FORECAST)
    name = one.post("/v1/forecast", NEAR, headers=YES).json()["request_id"]
    post = {"request_id": name, "consent": True, **RISE}
    until(lambda: two.post("/v1/feedback", post).status_code == 200, "the record at the other gateway")
    other = {**post, "outcome": {"return_pct": 9}}
    rated = {"request_id": name, "consent": True, "thumb": "up"}
    until(lambda: one.post("/v1/feedback", rated).json()["outcome"] is True, "the outcome at the first")
    assert one.post("/v1/feedback", other).status_code == 409
    assert one.end() == two.end() == 0
    files = sorted((bucket / "serving" / "feedback").glob("*/*.jsonl"))
    assert len(files) == 2
    recorded = read_feedback_folder(bucket / "serving" / "feedback")
    assert [example.truth for example in collect(recorded, MARKET, "markets").examples] == [0.015]
    assert (one.folder / "home" / "serving" / "feedback").stat().st_mode & 0o077 == 0
