"""Sessions with odd endpoints, over real HTTP: answers that are kept, asked again, or end the session."""

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loguru import logger

from cortex.artifacts.patience import Patience
from cortex.domains.markets import Markets
from cortex.domains.markets.quality import check
from cortex.domains.markets.scripted_teacher import answer
from cortex.errors import BudgetError, ConfigError, DataError, StageError
from cortex.teaching import bounded_http
from cortex.teaching.completion import Completion
from cortex.teaching.scripted_server import Server
from cortex.teaching.session import IN_A_ROW, TRIES
from cortex.teaching.teacher import TRIAL, Endpoint, ask, scripted_teacher

from .endpoint import PROMPTS, Reply, Teacher, completion, conversations, error, right, serving

pytestmark = pytest.mark.integration

ODD = "NEAR-20"
"""The example with odd replies, in tests that have one."""
RIGHT = {example: Completion("answered", answer(prompt)) for example, prompt in PROMPTS.items()}
OTHERS = {example: found for example, found in RIGHT.items() if example != ODD}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex.teaching.session.PACE", Patience(first=0.05, longest=0.5))


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="INFO")
    yield lines
    logger.remove(sink)


def go(endpoint: Endpoint, kept: Path) -> dict[str, Completion]:
    return ask(endpoint, conversations(PROMPTS), kept, lambda *_: None, fault=fault)


def fault(example: str, reply: str) -> str | None:
    finding = check(PROMPTS[example], reply)
    return "; ".join(finding.reasons) if finding.grade == "rejected" else None


def one_odd(reply: Callable[[int], Reply | None]) -> Callable[[str, int], Reply | None]:
    """A script that answers everything but `ODD` properly; `reply` gives `ODD`'s reply to its n-th request."""
    return lambda prompt, nth: reply(nth) if prompt == PROMPTS[ODD] else right(prompt)


def lines(kept: Path) -> int:
    return len(kept.read_text(encoding="utf-8").splitlines())


def test_the_scripted_teacher_answers_every_prompt_over_http(kept: Path) -> None:
    told: list[tuple[int, int]] = []
    with scripted_teacher(Markets(), 0, seed=3) as url:
        endpoint = Endpoint(url, "none", "scripted-teacher", concurrency=8, temperature=0.7, max_tokens=64)
        found = ask(endpoint, conversations(PROMPTS), kept, lambda done, total: told.append((done, total)))
    assert {example: each.text for example, each in found.items()} == {
        example: answer(prompt, seed=3) for example, prompt in PROMPTS.items()
    }
    assert list(found) == list(PROMPTS)
    assert told == [(done, 40) for done in range(1, 41)]


def test_what_was_answered_is_not_asked_again(teacher: Teacher, kept: Path) -> None:
    first = dict(list(PROMPTS.items())[:25])
    ask(teacher.endpoint(), conversations(first), kept, lambda *_: None)
    # A kill in the middle of a write leaves part of a line; an example whose prompt changed is another question.
    with kept.open("a", encoding="utf-8") as torn:
        torn.write('{"example_id": "NEAR-30", "prompt": "NEA')
    changed = PROMPTS | {"NEAR-0": "NEAR 1d flow:+2"}
    assert set(ask(teacher.endpoint(), conversations(changed), kept, lambda *_: None)) == set(PROMPTS)
    assert sorted(teacher.asked) == sorted([*PROMPTS.values(), "NEAR 1d flow:+2"])
    assert ask(teacher.endpoint(), conversations(changed), kept, lambda *_: None)["NEAR-0"].text == answer(
        "NEAR 1d flow:+2"
    )
    assert len(teacher.asked) == 41


@pytest.mark.parametrize("refused", [None, ODD])
def test_what_came_before_sigkill_is_kept(refused: str | None, teacher: Teacher, kept: Path) -> None:
    teacher.seconds = 0.02
    if refused:
        teacher.script = one_odd(lambda _: error(400, "filtered"))
    program = (
        "import json, sys; from pathlib import Path; from cortex.domains.question import Message;"
        "from cortex.teaching.teacher import Endpoint, ask;"
        "prompts = {key: (Message('user', text),) for key, text in json.loads(sys.argv[2]).items()};"
        "ask(Endpoint(**json.loads(sys.argv[1])), prompts, Path(sys.argv[3]), lambda *_: None)"
    )
    endpoint = teacher.endpoint()
    command = [sys.executable, "-c", program, json.dumps(vars(endpoint)), json.dumps(PROMPTS), str(kept)]
    with subprocess.Popen(command) as process:
        while len(teacher.asked) < 30:
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert lines(kept) >= 30 - 2 * endpoint.concurrency
    teacher.seconds = 0
    asked = len(teacher.asked)
    found = go(endpoint, kept)
    assert Counter(each.kind for each in found.values()) == (
        {"answered": 39, "refused": 1} if refused else {"answered": 40}
    )
    assert len(teacher.asked) <= 40 + endpoint.concurrency  # what was under way at the kill is asked twice
    assert len(teacher.asked) - asked < 40


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"{}"),
        Reply(b'{"choices": null}'),
        Reply(b'{"choices": []}'),
        Reply(b'{"choices": [{"message": "text"}]}'),
        Reply(b'{"error": {"message": "upstream", "code": 502}}'),
        Reply(b"<html>Sign in</html>", headers={"Content-Type": "text/html; charset=hex"}),
        Reply(b"<html>Sign in</html>"),
        Reply(b"plain", headers={"Content-Type": "text/plain"}),
        Reply(b"", status=204),
        Reply(b"", status=302, headers={"Location": "/login"}),
        Reply(b"no gzip", headers={"Content-Encoding": "gzip"}),
        error(500, "it broke"),
        error(408, "too slow"),
        None,
    ],
    ids=lambda reply: str(reply and (reply.status, reply.body[:20])),
)
def test_one_odd_reply_among_many_is_asked_again(reply: Reply | None, teacher: Teacher, kept: Path) -> None:
    teacher.script = one_odd(lambda nth: reply if nth == 1 else right(PROMPTS[ODD]))
    assert go(teacher.endpoint(), kept) == RIGHT
    assert Counter(teacher.asked) == {**dict.fromkeys(PROMPTS.values(), 1), PROMPTS[ODD]: 2}


@pytest.mark.parametrize(
    ("reply", "kind", "asked"),
    [
        (Reply(b'{"choices": []}'), "odd", TRIES),
        (error(400, "content filter"), "refused", 1),
        (error(403, "flagged by moderation"), "refused", 1),
        (completion(None, "content_filter"), "refused", 1),
        (completion(None, refusal="I cannot help"), "refused", 1),
        (completion("<think>flow", "length"), "truncated", 1),
    ],
)
def test_a_prompt_that_never_gets_an_answer_is_given_up_alone_and_not_asked_again(
    reply: Reply, kind: str, asked: int, teacher: Teacher, kept: Path, log: list[str]
) -> None:
    teacher.script = one_odd(lambda _: reply)
    found = go(teacher.endpoint(), kept)
    odd = found.pop(ODD)
    assert (found, odd.kind, teacher.asked.count(PROMPTS[ODD])) == (OTHERS, kind, asked)
    assert f"of 40 prompts, 1 {kind}" in log[-1]
    teacher.asked.clear()
    assert go(teacher.endpoint(), kept)[ODD] == odd
    assert teacher.asked == []


def test_a_prompt_at_which_the_server_always_fails_is_given_up_while_others_are_answered(
    teacher: Teacher, kept: Path
) -> None:
    teacher.script = one_odd(lambda _: error(500, "cannot tokenize"))
    teacher.seconds = 0.1
    found = go(teacher.endpoint(concurrency=2), kept)
    odd = found.pop(ODD)
    assert (found, odd.kind, odd.reason) == (OTHERS, "failing", "HTTP 500: cannot tokenize")


@pytest.mark.parametrize(
    ("status", "asked"), [(401, 4), (402, 4), (400, TRIAL), (403, TRIAL), (404, TRIAL), (422, TRIAL)]
)
def test_an_endpoint_that_refuses_everything_is_one_line_at_once(
    status: int, asked: int, teacher: Teacher, kept: Path
) -> None:
    teacher.script = lambda *_: error(status, "no\x1b[2J\nsuch model")
    started = time.monotonic()
    with pytest.raises(StageError, match=rf"^the teacher m at {teacher.url} .*HTTP {status}: no.*0 of 40") as raised:
        go(teacher.endpoint(), kept)
    assert time.monotonic() - started < 5
    assert "\n" not in str(raised.value) and "\x1b" not in str(raised.value)
    assert len(teacher.asked) <= asked and lines(kept) == 0


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (completion("<think>flow", "length"), r"8 were cut off at 64 tokens.*raise teacher\.max_tokens"),
        (completion(None, "length", reasoning_content="flow"), r"8 were cut off at 64 tokens.*teacher\.max_tokens"),
        (
            completion("It will rise."),
            r"none is fit to imitate \(protocol: no </think>; one begins 'It will rise.*teacher\.model",
        ),
    ],
)
def test_the_first_answers_are_read_before_the_rest_is_paid_for(
    resumed: bool, reply: Reply, said: str, teacher: Teacher, kept: Path
) -> None:
    if resumed:
        first = dict(list(PROMPTS.items())[:10])
        ask(teacher.endpoint(), conversations(first), kept, lambda *_: None)
        teacher.asked.clear()
    teacher.script = lambda *_: reply
    with pytest.raises(DataError, match=said) as raised:
        go(teacher.endpoint(concurrency=32), kept)
    assert len(teacher.asked) == TRIAL
    assert f"{18 if resumed else 8} of 40 answers are kept" in str(raised.value)
    # Once the endpoint works, earlier answers are asked again unless one of them could be read.
    teacher.script = right
    teacher.asked.clear()
    found = go(teacher.endpoint(), kept)
    assert sum(found[example] == RIGHT[example] for example in PROMPTS) == (32 if resumed else 40)
    assert len(teacher.asked) == (22 if resumed else 40)


def test_an_endpoint_that_replies_with_pages_is_named(teacher: Teacher, kept: Path) -> None:
    teacher.script = lambda *_: Reply(b"<html>Welcome to nginx</html>")
    with pytest.raises(
        StageError, match=r"none of its first 8 prompts: no completion, but .*nginx.*check teacher\.url"
    ):
        go(teacher.endpoint(concurrency=8), kept)
    assert len(teacher.asked) == TRIAL * TRIES


def test_one_answer_in_the_trial_lets_the_rest_be_asked(teacher: Teacher, kept: Path) -> None:
    teacher.script = lambda prompt, _: right(prompt) if len(teacher.asked) == TRIAL else completion("hm")
    assert len(go(teacher.endpoint(concurrency=1), kept)) == 40


@pytest.mark.parametrize("status", [400, 401, 402, 403])
def test_an_endpoint_that_stops_serving_on_the_way_loses_no_prompt(status: int, teacher: Teacher, kept: Path) -> None:
    teacher.script = lambda prompt, _: right(prompt) if len(teacher.asked) <= 20 else error(status, "no credit")
    with pytest.raises(StageError, match=r"no credit; \d\d of 40 answers are kept") as raised:
        go(teacher.endpoint(), kept)
    assert f"{lines(kept)} of 40" in str(raised.value) and lines(kept) >= 20 - 4
    assert len(teacher.asked) <= 20 + IN_A_ROW + 2 * 4
    teacher.script = right
    assert go(teacher.endpoint(), kept) == RIGHT


def test_slow_answers_do_not_vouch_for_an_endpoint_that_has_stopped_serving(teacher: Teacher, kept: Path) -> None:
    """Answers to requests that were sent before the endpoint began to refuse arrive among the refusals."""

    def script(prompt: str, nth: int) -> Reply:
        del nth
        at = len(teacher.asked)
        if at > 20:
            return error(403, "suspended")
        time.sleep(0.3 if at > 14 else 0)
        return right(prompt)

    teacher.script = script
    with pytest.raises(StageError, match="suspended"):
        go(teacher.endpoint(concurrency=8), kept)
    assert {json.loads(line)["kind"] for line in kept.read_text(encoding="utf-8").splitlines()} == {"answered"}


def test_on_the_last_few_prompts_a_refusal_is_no_end_of_the_run(teacher: Teacher, kept: Path) -> None:
    ask(
        teacher.endpoint(),
        conversations({example: prompt for example, prompt in PROMPTS.items() if example != ODD}),
        kept,
        lambda *_: None,
    )
    teacher.script = one_odd(lambda _: error(400, "filtered"))
    assert go(teacher.endpoint(), kept)[ODD] == Completion("refused", reason="HTTP 400: filtered")


@pytest.mark.parametrize("status", [429, 503])
def test_an_endpoint_that_is_busy_for_a_while_is_waited_for_and_the_log_says_so(
    status: int, teacher: Teacher, kept: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex.teaching.session.TOLD_AFTER", 0.5)
    until = time.monotonic() + 3
    teacher.script = lambda prompt, _: right(prompt) if time.monotonic() > until else error(status, "loading")
    assert go(teacher.endpoint(), kept) == RIGHT
    assert f"has answered nobody for 1 s (HTTP {status}: loading)" in log[0] and "for up to 20 s" in log[0]
    assert "answers again, after" in log[-1]


def test_an_endpoint_that_is_not_up_yet_is_waited_for(kept: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    late = Teacher(url=f"http://127.0.0.1:{port}/v1")
    done = threading.Event()

    def serve() -> None:
        time.sleep(2)
        with serving(late, port):
            done.wait(30)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert go(late.endpoint(), kept) == RIGHT
    finally:
        done.set()
        thread.join()


def test_a_server_that_stays_down_is_named_once_patience_is_over(kept: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        endpoint = Endpoint(url, "none", "m", concurrency=2, temperature=0.7, max_tokens=64, patience_seconds=1)
        expected = rf"^the teacher m at {url} has answered nobody for 1 s: .*[Cc]onnect.*0 of 40.*patience_seconds"
        started = time.monotonic()
        with pytest.raises(StageError, match=expected):
            go(endpoint, kept)
        assert time.monotonic() - started < 5


def test_patience_is_for_the_endpoint_not_for_each_prompt(teacher: Teacher, kept: Path) -> None:
    """Under a tight rate limit a prompt may be put off for longer than patience, while others are answered."""
    last = [0.0]

    def script(prompt: str, nth: int) -> Reply:
        del nth
        with teacher.lock:
            if time.monotonic() - last[0] < 0.1:
                return error(429, "slow down", **{"Retry-After": "0.1"})
            last[0] = time.monotonic()
        return right(prompt)

    teacher.script = script
    assert go(teacher.endpoint(concurrency=40, patience_seconds=2), kept) == RIGHT


@pytest.mark.parametrize("value", ["1000000000", "1e400", "Fri, 31 Dec 9999 23:59:59 GMT", "nan", "-5", "soon"])
def test_retry_after_is_bounded(value: str, teacher: Teacher, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex.teaching.session.LONGEST_WAIT", 0.5)
    teacher.script = one_odd(
        lambda nth: error(429, "slow down", **{"Retry-After": value}) if nth == 1 else right(PROMPTS[ODD])
    )
    assert go(teacher.endpoint(), kept) == RIGHT


def test_retry_after_is_honoured(teacher: Teacher, kept: Path) -> None:
    times: list[float] = []

    def reply(nth: int) -> Reply:
        times.append(time.monotonic())
        return error(503, "loading", **{"Retry-After": "2"}) if nth == 1 else right(PROMPTS[ODD])

    teacher.script = one_odd(reply)
    assert go(teacher.endpoint(), kept) == RIGHT
    assert times[1] - times[0] >= 2


LARGE = {
    "long": Reply(b" " * 60_000),
    "endless": Reply(b"x" * 10_000, endless=True),
    "endless error": Reply(b"x" * 10_000, status=429, endless=True),
    "packed": Reply(gzip.compress(b" " * 10_000_000), headers={"Content-Encoding": "gzip"}),
    "trickle": Reply(b" ", endless=True),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_reply_without_end_is_bounded(
    name: str, teacher: Teacher, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "REPLY_BYTES", 50_000)
    teacher.script = one_odd(lambda nth: LARGE[name] if nth == 1 else right(PROMPTS[ODD]))
    started = time.monotonic()
    assert go(teacher.endpoint(reply_seconds=1.0), kept) == RIGHT
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("raised", [BudgetError("spent"), OSError(28, "No space left on device"), ValueError("oh")])
def test_an_error_on_the_way_comes_out_as_itself_and_not_in_a_group(
    raised: Exception, teacher: Teacher, kept: Path
) -> None:
    """Many requests are under way, and several meet the error."""

    def meet(done: int, total: int) -> None:
        raise raised

    with pytest.raises(type(raised)) as found:
        ask(teacher.endpoint(concurrency=16), conversations(PROMPTS), kept, meet)
    assert found.value is raised
    assert lines(kept) >= 1


def test_a_busy_port_is_a_fault_of_the_configuration() -> None:
    server = Server(Markets())
    port = server.server_address[1]
    try:
        with (
            pytest.raises(ConfigError, match=rf"port {port}: Address already in use; set teacher\.port to a free port"),
            scripted_teacher(Markets(), int(port), seed=0),
        ):
            pass
    finally:
        server.server_close()
