"""Replies of every shape that endpoints are known to send, each read as intended."""

import json
import time
from email.utils import formatdate
from typing import Any

import pytest

from cortex.teaching.completion import Kind, read_reply
from cortex.teaching.usage import Usage

from .endpoint import completion

TEXT = "<think>flow:-2 up</think><answer>{}</answer>"


def read(body: bytes, status: int = 200, **headers: str) -> tuple[Kind, str, str]:
    found = read_reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})
    return found.kind, found.text, found.reason


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TEXT, {}),
        (TEXT, {"reasoning_content": None, "reasoning": "", "refusal": None}),
        (TEXT, {"reasoning_content": "flow:-2 up", "refusal": ""}),  # the content has it already
        ("<answer>{}</answer>", {"reasoning_content": "flow:-2 up"}),
        ("<answer>{}</answer>", {"reasoning": "flow:-2 up"}),
        ("<answer>{}</answer>", {"reasoning_content": "", "reasoning": "flow:-2 up"}),
        ("<answer>{}</answer>", {"reasoning_content": "flow:-2 up", "reasoning": "flow:-2 up"}),
        ("<answer>{}</answer>", {"reasoning_content": "<think>\nflow:-2 up\n</think>"}),
        ("<answer>{}</answer>", {"reasoning_details": [{"type": "reasoning.text", "text": "flow:-2 up"}]}),
        ("<answer>{}</answer>", {"reasoning": ["flow:-2 ", "up"]}),
        ("", {"reasoning_content": "flow:-2 up</think><answer>{}</answer>"}),
        (None, {"reasoning": "<think>flow:-2 up</think><answer>{}</answer>"}),
        ([{"type": "text", "text": TEXT}], {}),
        ([{"type": "text", "text": {"value": TEXT, "annotations": []}}], {}),
        ([{"type": "text", "text": TEXT[:9]}, 7, None, {"type": "image"}, {"type": "text", "text": TEXT[9:]}], {}),
        (
            [
                {"type": "thinking", "thinking": [{"type": "text", "text": "flow:-2 up"}]},
                {"type": "text", "text": "<answer>{}</answer>"},
            ],
            {},
        ),
        ([{"type": "thinking", "thinking": "flow:-2 up"}, {"type": "text", "text": "<answer>{}</answer>"}], {}),
    ],
)
def test_the_reasoning_is_put_back_before_the_answer_from_wherever_it_comes(
    content: Any, message: dict[str, Any]
) -> None:
    assert read(completion(content, **message).body) == ("answered", TEXT, "")


@pytest.mark.parametrize("finish", [None, "stop", "eos", "end_turn", 7, [], {"type": "stop"}])
def test_an_unknown_or_missing_finish_reason_leaves_an_answer_one(finish: Any) -> None:
    assert read(completion(TEXT, finish).body)[0] == "answered"


@pytest.mark.parametrize("finish", ["length", "MAX_TOKENS", "model_length"])
@pytest.mark.parametrize(
    ("content", "message", "text"),
    [
        (None, {}, ""),
        ("<think>flow", {}, "<think>flow"),
        (None, {"reasoning_content": "flow"}, "<think>flow</think>"),
    ],
)
def test_a_truncation_is_one_whatever_is_there_of_the_text(
    finish: str, content: Any, message: dict[str, Any], text: str
) -> None:
    kind, found, reason = read(completion(content, finish, **message).body)
    assert (kind, found) == ("truncated", text) and "finish_reason" in reason


@pytest.mark.parametrize("finish", ["error", "ABORT", "insufficient_system_resource"])
def test_an_answer_that_its_server_broke_off_is_asked_for_again(finish: str) -> None:
    kind, text, reason = read(completion("<think>flow", finish).body)
    assert (kind, text) == ("failing", "") and finish.lower() in reason


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (completion(None, "content_filter").body, 200, "content_filter"),
        (completion("I", "SAFETY").body, 200, "safety"),
        (completion(None, refusal="I cannot\x1b[2J help").body, 200, r"I cannot\x1b[2J help"),
        (b'{"error": {"code": "content_filter", "message": "filtered"}}', 200, "filtered"),
        (b'{"error": {"code": 400, "message": "too long"}}', 200, "too long"),
        (b'{"error": {"message": "content management policy"}}', 400, "HTTP 400: content management policy"),
        (b'{"detail": "flagged"}', 403, "HTTP 403: flagged"),
        (b"", 413, "HTTP 413: nothing"),
        (b'{"message": "no such model"}', 404, "HTTP 404: no such model"),
    ],
)
def test_a_refusal_says_why(body: bytes, status: int, reason: str) -> None:
    kind, _, said = read(body, status)
    assert kind == "refused" and reason in said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no completion, but nothing"),
        (b"{}", "2 bytes: {}"),
        (b"null", "4 bytes: null"),
        (b"[]", "[]"),
        (b'"text"', "text"),
        (b"12", "12"),
        (b"1" * 9999, "9,999 bytes: 1111"),
        (b"[" * 100_000, "100,000 bytes: [[["),
        (b'{"choices":' * 100_000, "choices"),
        (b"<!doctype html><title>Sign in</title>", "<title>Sign in"),
        (b'data: {"choices": []}\n\ndata: [DONE]\n', "data: "),
        (b"\xff\xfe\x00", "bytes"),
        (b'{"choices": null}', '{"choices": null}'),
        (b'{"choices": []}', "choices"),
        (b'{"choices": {}}', "choices"),
        (b'{"choices": "one"}', "choices"),
        (b'{"choices": [null]}', "choices"),
        (b'{"choices": [[]]}', "choices"),
        (b'{"choices": [{}]}', "choices"),
        (b'{"choices": [{"message": "a text"}]}', "a text"),
        (b'{"choices": [{"message": []}]}', "message"),
        (b'{"choices": [{"message": {"content": 7}}]}', "content"),
        (b'{"choices": [{"message": {"content": {"a": 1}}}]}', "content"),
        (b'{"choices": [{"message": {"content": " \\n"}, "finish_reason": "stop"}]}', "content"),
        (b'{"choices": [{"message": {"content": ' + b"[" * 500 + b"]" * 500 + b"}}]}", "content"),
        (b'{"choices": [{"error": {"message": "upstream broke"}}]}', "upstream broke"),
        (b'{"error": "broken"}', "status 200: broken"),
        (b'{"error": {"message": "no key upstream", "code": 401}}', "no key upstream"),
        (b'{"error": {"message": 5, "code": [1]}}', "error"),
        (b'{"object": "error", "error": true, "choices": null}', "error"),
    ],
)
def test_what_is_no_completion_is_worth_asking_again_and_is_quoted_short(body: bytes, said: str) -> None:
    kind, text, reason = read(body)
    assert (kind, text) == ("odd", "")
    assert said in reason and len(reason) < 300 and "\n" not in reason


def test_a_redirect_names_its_target() -> None:
    kind, _, reason = read(b"<html>", 301, location="https://elsewhere/v1")
    assert (kind, reason) == ("odd", "HTTP 301, a redirect to https://elsewhere/v1")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "invalid_api_key", "denied"),
        (402, "", "denied"),
        (429, "insufficient_quota", "denied"),
        (400, "billing_hard_limit_reached", "denied"),
        (429, "rate_limit_exceeded", "busy"),
        (503, "", "busy"),
        (529, "overloaded_error", "busy"),
        (500, "", "failing"),
        (502, "", "failing"),
        (524, "", "failing"),
        (408, "", "failing"),
        (999, "", "odd"),
    ],
)
def test_a_status_says_whether_it_passes(status: int, code: str, kind: Kind) -> None:
    assert read(json.dumps({"error": {"message": "no", "code": code}}).encode(), status)[0] == kind


def test_an_error_in_a_200_counts_as_its_own_status() -> None:
    for code in (429, "429", 503):
        assert read(json.dumps({"error": {"message": "slow down", "code": code}}).encode())[0] == "busy"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("nan", 0.0),
        ("1e9", 1e9),
        ("inf", float("inf")),
        ("soon", 0.0),
        ("", 0.0),
        ("Wed, 99 Foo 99999 99:99:99 GMT", 0.0),
        (formatdate(0, usegmt=True), 0.0),
        (formatdate(4e9, usegmt=True), pytest.approx(4e9, rel=1)),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(value: str, seconds: float) -> None:
    assert read_reply(429, b"", {"retry-after": value}).retry_after == seconds


@pytest.mark.parametrize("ahead", [-86_400, 0, 7_200])
def test_a_date_to_wait_for_is_read_by_the_servers_own_clock(ahead: int) -> None:
    now = 1_800_000_000 + ahead
    headers = {"date": formatdate(now, usegmt=True), "retry-after": formatdate(now + 30, usegmt=True)}
    assert read_reply(429, b"", headers).retry_after == 30


@pytest.mark.parametrize("date", [{}, {"date": "soon"}, {"date": ""}])
def test_a_date_to_wait_for_without_a_readable_clock_beside_it_is_read_by_this_machines(date: dict[str, str]) -> None:
    headers = date | {"retry-after": formatdate(time.time() + 30, usegmt=True)}
    assert read_reply(429, b"", headers).retry_after == pytest.approx(30, abs=5)
    assert read_reply(429, b"", date | {"retry-after": formatdate(time.time() - 9e4, usegmt=True)}).retry_after == 0


@pytest.mark.parametrize("created", [4_102_444_800, -1, 1e400, "soon", None, [], True])
def test_when_a_provider_says_that_it_answered_does_not_matter(created: Any) -> None:
    body = json.dumps({**json.loads(completion(TEXT).body), "created": created}).encode()
    assert read(body, date=formatdate(4e9, usegmt=True)) == ("answered", TEXT, "")


def test_the_model_and_the_usage_are_kept_beside_the_text() -> None:
    body = {**json.loads(completion(TEXT).body), "usage": {"prompt_tokens": 7, "completion_tokens": 5}}
    found = read_reply(200, json.dumps(body).encode(), {})
    assert (found.model, found.usage) == ("m", Usage(7, 5))


def test_half_a_character_is_replaced_since_no_file_can_hold_it() -> None:
    kind, text, _ = read(b'{"choices": [{"message": {"content": "up \\ud83d \\ud83d\\ude00"}}]}')
    assert (kind, text) == ("answered", "up \ufffd \U0001f600")
