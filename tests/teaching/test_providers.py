"""Several providers over real HTTP: failover, money, the cache, and answers that come with odd accounts."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from cortex.artifacts.patience import Patience
from cortex.errors import BudgetError, DataError, StageError
from cortex.teaching.answer_cache import AnswerCache
from cortex.teaching.completion import Completion
from cortex.teaching.purse import Purse
from cortex.teaching.teacher import Endpoint, ask
from cortex.teaching.usage import Price
from scripts.bench.teacher import measure

from .endpoint import PROMPTS, Reply, Teacher, completion, conversations, error, right, serving

pytestmark = pytest.mark.integration

PRICES = {"first": Price(Decimal("0.3"), Decimal("1.1")), "second": Price(Decimal("2.5"), Decimal("10"))}


def paid(
    prompt: str, nth: int = 1, *, given: Any = 40, made: Any = 50, model: str = "m", finish: str = "stop"
) -> Reply:
    """The right answer, with a usage."""
    body = json.loads(right(prompt, nth).body) | {"model": model}
    body["choices"][0]["finish_reason"] = finish
    return Reply(json.dumps(body | {"usage": {"prompt_tokens": given, "completion_tokens": made}}).encode())


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex.teaching.session.PACE", Patience(first=0.05, longest=0.5))


@pytest.fixture
def servers() -> Iterator[dict[str, Teacher]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(serving(Teacher(script=paid))) for name in PRICES}


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="INFO")
    yield lines
    logger.remove(sink)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


def endpoints(servers: dict[str, Teacher], **values: Any) -> list[Endpoint]:
    return [server.endpoint(name=name, price=PRICES[name], **values) for name, server in servers.items()]


def go(servers: dict[str, Teacher], kept: Path, **values: Any) -> dict[str, Completion]:
    return ask(endpoints(servers), conversations(PROMPTS), kept, lambda *_: None, **values)


def counts(found: dict[str, Completion]) -> dict[str, int]:
    return {name: sum(each.provider == name for each in found.values()) for name in PRICES}


def test_the_preferred_provider_gets_every_prompt_while_it_answers(servers: dict[str, Teacher], kept: Path) -> None:
    purse = Purse()
    found = go(servers, kept, purse=purse)
    assert counts(found) == {"first": 40, "second": 0} and servers["second"].asked == []
    assert purse.dollars == 40 * (40 * Decimal("0.3") + 50 * Decimal("1.1")) / 1_000_000
    assert {(each.model, each.usage and each.usage.total) for each in found.values()} == {("m", 90)}


@pytest.mark.parametrize(
    "reply",
    [
        error(401, "key revoked"),
        error(429, "slow down", **{"Retry-After": "60"}),
        error(503, "loading"),
        error(400, "content filter"),
        completion(None, "content_filter"),
        Reply(b"<html>Sign in</html>"),
        Reply(b"null"),
        Reply(b'{"choices": [{"mess'),
        None,
    ],
    ids=lambda reply: str(reply and (reply.status, reply.body[:12])),
)
def test_the_next_provider_answers_what_the_first_does_not(
    reply: Reply | None, servers: dict[str, Teacher], kept: Path, log: list[str]
) -> None:
    """Half-way the first one ends to answer: no prompt is lost, none answered twice, and nothing is waited for long."""
    first = servers["first"]
    first.script = lambda prompt, nth: paid(prompt, nth) if len(first.asked) <= 15 else reply
    found = go(servers, kept)
    assert {each.kind for each in found.values()} == {"answered"}
    assert counts(found)["second"] >= 20
    assert len(servers["second"].asked) == counts(found)["second"]
    if reply and reply.status == 401:
        assert any("first m at" in line and "is left out" in line and "key revoked" in line for line in log)
        assert len(first.asked) <= 15 + 8, "a provider that denies is not asked again"


def test_a_prompt_that_every_provider_refuses_is_refused_alone(servers: dict[str, Teacher], kept: Path) -> None:
    odd = PROMPTS["NEAR-20"]
    for server in servers.values():
        server.script = lambda prompt, nth: error(400, "filtered") if prompt == odd else paid(prompt, nth)
    found = go(servers, kept)
    assert found.pop("NEAR-20").kind == "refused" and {each.kind for each in found.values()} == {"answered"}
    assert [server.asked.count(odd) for server in servers.values()] == [1, 1]


def test_providers_that_all_deny_are_one_line_and_nothing_is_lost(servers: dict[str, Teacher], kept: Path) -> None:
    for server in servers.values():
        server.script = lambda prompt, nth, of=server: paid(prompt, nth) if len(of.asked) <= 5 else error(401, "no")
    with pytest.raises(StageError, match=r"the teacher \(first, second\) refuses: HTTP 401: no; \d+ of 40") as raised:
        go(servers, kept)
    assert "\n" not in str(raised.value)
    for server in servers.values():
        server.script = paid
    before = sum(len(server.asked) for server in servers.values())
    found = go(servers, kept)
    assert {each.kind for each in found.values()} == {"answered"}
    said = re.search(r"(\d+) of 40 answers are kept", str(raised.value))
    assert said is not None and int(said[1]) > 0
    # Of the ten answers, those under way when the last provider refused may be lost; what is said to be kept is not.
    assert sum(len(server.asked) for server in servers.values()) - before <= 40 - int(said[1])


def test_a_second_run_pays_nothing(servers: dict[str, Teacher], kept: Path, tmp_path: Path) -> None:
    cache, purse = AnswerCache(tmp_path / "home" / "answers.sqlite"), Purse()
    first = go(servers, kept, cache=cache)
    asked = len(servers["first"].asked)
    again = go(servers, tmp_path / "other.jsonl", cache=AnswerCache(tmp_path / "home" / "answers.sqlite"), purse=purse)
    assert again == first and len(servers["first"].asked) == asked
    assert purse.dollars == 0 and all(each.recalled and each.dollars == 0 for each in again.values())
    # Another question, or other parameters, are no answer of before.
    ask(endpoints(servers, max_tokens=65)[0], conversations(PROMPTS), tmp_path / "3", lambda *_: None, cache=cache)
    assert len(servers["first"].asked) == 2 * asked


def test_what_a_killed_run_held_back_from_the_cache_comes_from_its_journal(
    servers: dict[str, Teacher], kept: Path, tmp_path: Path
) -> None:
    go(servers, kept)  # as if no answer had been written into the cache before the kill
    cache = AnswerCache(tmp_path / "answers.sqlite")
    first = go(servers, kept, cache=cache)
    again = go(servers, tmp_path / "other.jsonl", cache=AnswerCache(tmp_path / "answers.sqlite"))
    assert again == first and len(servers["first"].asked) == 40 and all(each.recalled for each in again.values())


def test_answers_of_a_failed_trial_are_not_cached(servers: dict[str, Teacher], kept: Path, tmp_path: Path) -> None:
    cache = AnswerCache(tmp_path / "answers.sqlite")
    servers["first"].script = lambda *_: completion("hm")

    def fault(example: str, reply: str) -> str | None:
        return "no reasoning" if "</think>" not in reply else None

    with pytest.raises(DataError, match="no reasoning"):
        go(servers, kept, cache=cache, fault=fault)
    servers["first"].script = paid
    found = go(servers, tmp_path / "other.jsonl", cache=cache, fault=fault)
    assert all("</think>" in each.text for each in found.values())


@pytest.mark.parametrize(
    "data", [b"", b"no database at all, but a text of some length", b"SQLite format 3\x00" + b"x" * 5000]
)
def test_a_damaged_cache_is_replaced(data: bytes, servers: dict[str, Teacher], kept: Path, tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    path.write_bytes(data)
    go(servers, kept, cache=AnswerCache(path))
    asked = len(servers["first"].asked)
    go(servers, tmp_path / "other.jsonl", cache=AnswerCache(path))
    assert len(servers["first"].asked) == asked


@pytest.mark.parametrize("limit", [{"dollars": Decimal("0.0014")}, {"tokens": 1800}])
def test_the_budget_is_never_passed_and_its_answers_are_kept(
    limit: dict[str, Any], servers: dict[str, Teacher], kept: Path, tmp_path: Path
) -> None:
    purse, cache = Purse(**limit), AnswerCache(tmp_path / "answers.sqlite")
    said = (
        r"the teacher \(first, second\) has cost \$0\.00\d\d.* tokens.*; [12]\d of 40 answers are kept: raise teacher\."
    )
    with pytest.raises(BudgetError, match=said):
        go(servers, kept, purse=purse, cache=cache)
    assert purse.dollars <= limit.get("dollars", 1) and purse.tokens <= limit.get("tokens", 10**6)
    assert len(kept.read_text(encoding="utf-8").splitlines()) == len(servers["first"].asked) > 10, (
        "what was under way has ended"
    )
    with pytest.raises(BudgetError):  # the same budget, again: nothing more is asked
        go(servers, kept, purse=Purse(**limit), cache=cache)
    asked = len(servers["first"].asked)
    assert asked == purse.tokens // 90
    larger = Purse(tokens=100_000)
    go(servers, tmp_path / "new.jsonl", purse=larger, cache=cache)
    assert len(servers["first"].asked) == 40 and larger.tokens == (40 - asked) * 90


def test_replies_that_settle_nothing_are_paid_too(servers: dict[str, Teacher], kept: Path) -> None:
    broken_off = list(PROMPTS.values())[::8]
    servers["first"].script = lambda prompt, nth: paid(
        prompt, nth, finish="error" if nth == 1 and prompt in broken_off else "stop"
    )
    purse, again = Purse(), Purse()
    go(servers, kept, purse=purse)
    assert purse.tokens == 45 * 90 and purse.bills["first"].replies == 45
    go(servers, kept, purse=again)
    assert again.bills == purse.bills, "a later attempt knows what was paid"


@pytest.mark.parametrize("usage", [{"given": None}, {"made": -1}, {"given": "9"}, {"made": True}, {"given": 10**12}])
def test_an_account_that_makes_no_sense_is_counted_high_and_said(
    usage: dict[str, Any], servers: dict[str, Teacher], kept: Path, log: list[str]
) -> None:
    servers["first"].script = lambda prompt, nth: paid(prompt, nth, **usage)
    purse = Purse()
    found = go(servers, kept, purse=purse)
    assert purse.tokens >= sum(len(each.text.encode()) for each in found.values())
    assert sum("reports no usage" in line for line in log) == 1


def test_the_name_of_another_model_is_kept_and_said_once(
    servers: dict[str, Teacher], kept: Path, log: list[str]
) -> None:
    servers["first"].script = lambda prompt, nth: paid(prompt, nth, model="cheap-model")
    assert {each.model for each in go(servers, kept).values()} == {"cheap-model"}
    assert sum("answers as 'cheap-model'" in line for line in log) == 1


def test_a_price_that_is_missing_is_said_once_and_tokens_are_counted(
    servers: dict[str, Teacher], kept: Path, log: list[str]
) -> None:
    purse = Purse()
    ask([servers["first"].endpoint(name="first")], conversations(PROMPTS), kept, lambda *_: None, purse=purse)
    assert (purse.dollars, purse.tokens) == (0, 40 * 90)
    assert sum("has no price" in line for line in log) == 1


def test_a_limit_of_requests_a_minute_is_kept(servers: dict[str, Teacher], kept: Path) -> None:
    first = servers["first"]

    def script(prompt: str, nth: int) -> Reply:
        times.append(time.monotonic())
        return paid(prompt, nth)

    times: list[float] = []
    first.script = script
    few = dict(list(conversations(PROMPTS).items())[:6])
    ask(first.endpoint(requests_per_minute=600), few, kept, lambda *_: None)
    assert times[-1] - times[0] >= 0.35, "six in steps of a tenth of a second, the first of which may arrive late"


def test_faults_of_every_kind_and_kills_lose_no_answer_and_no_cent(tmp_path: Path) -> None:
    """A small form of `scripts/bench/teacher.py`, which has the full figures."""
    for folder, kills in (("whole", 0), ("killed", 2)):
        (tmp_path / folder).mkdir()
        found = measure(tmp_path / folder, 160, 8, kills, 0.02, 0.1)
        assert (found.answered, found.lost) == (160, 0)
        assert found.again <= kills * 16, "only what was under way at a kill is asked again"
        assert found.counted <= found.billed
        if not kills:
            assert found.counted == found.billed
