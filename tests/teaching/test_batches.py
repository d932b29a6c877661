"""Answers in batches, from a server that speaks the protocol: half the price, and nothing paid twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from cortex.artifacts.patience import Patience
from cortex.domains.question import Conversation, Message
from cortex.errors import BudgetError, StageError
from cortex.settings import CHECKOUT
from cortex.teaching.answer_cache import AnswerCache
from cortex.teaching.chat import BatchTerms, Endpoint
from cortex.teaching.completion import Completion
from cortex.teaching.purse import Purse
from cortex.teaching.teacher import TRIAL, ask
from cortex.teaching.usage import Price, Usage

from .batch_server import EXPIRED, BatchProvider, answered, chat_body, failed, providing
from .endpoint import Reply, error

pytestmark = pytest.mark.integration

PROMPTS: dict[str, Conversation] = {f"e{number}": (Message("user", f"What is {number}?"),) for number in range(40)}
PRICE = Price(Decimal("0.4"), Decimal("2"))
FULL = PRICE.dollars(Usage(40, 50))
"""Dollars of one answer of the server that was asked for alone."""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex.teaching.session.PACE", Patience(first=0.02, longest=0.1))
    monkeypatch.setattr("cortex.teaching.batch_client.PACE", Patience(first=0.02, longest=0.1))


@pytest.fixture
def provider() -> Iterator[BatchProvider]:
    with providing(BatchProvider()) as served:
        yield served


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


@pytest.fixture
def cache(tmp_path: Path) -> AnswerCache:
    return AnswerCache(tmp_path / "home" / "answers.sqlite")


def endpoint(provider: BatchProvider, requests: int = 1000, **values: Any) -> Endpoint:
    terms = BatchTerms(Decimal("0.5"), requests, poll_seconds=0.02)
    given: dict[str, Any] = {"patience_seconds": 3.0, "name": "openai", "price": PRICE, "batch": terms}
    return Endpoint(provider.url, "none", "m", 4, 0.7, 64, **given | values)


def go(
    provider: BatchProvider, kept: Path, cache: AnswerCache | None, **values: Any
) -> tuple[dict[str, Completion], Purse]:
    purse = values.pop("purse", Purse())
    found = ask(
        endpoint(provider, **values), PROMPTS, kept, lambda *_: None, fault=lambda *_: None, purse=purse, cache=cache
    )
    assert list(found) == list(PROMPTS)
    assert all(each.text.startswith(f"<think>{PROMPTS[name][0].content}<") for name, each in found.items())
    return found, purse


def test_a_batch_has_the_answers_for_half_the_price(provider: BatchProvider, kept: Path, cache: AnswerCache) -> None:
    found, purse = go(provider, kept, cache)
    in_batch = [each for each in found.values() if each.batch]
    assert (len(in_batch), len(provider.alone), len(provider.batches)) == (40 - TRIAL, TRIAL, 1)
    assert {(each.batch, each.dollars, each.provider) for each in in_batch} == {("batch-0", FULL / 2, "openai")}
    assert purse.dollars == TRIAL * FULL + (40 - TRIAL) * FULL / 2
    again, later = go(provider, kept, cache)
    assert again == found and later.dollars == purse.dollars
    other, free = go(provider, kept.with_name("other.jsonl"), cache)
    assert other == found and free.dollars == 0, "another run gets them from the cache"
    assert (len(provider.alone), len(provider.batches)) == (TRIAL, 1)


def test_prompts_are_parted_into_batches_of_the_profiles_size(provider: BatchProvider, kept: Path) -> None:
    go(provider, kept, None, requests=10)
    assert [provider.files[each["input_file_id"]].count(b"\n") for each in provider.batches.values()] == [10, 10, 10, 2]
    assert set(provider.asked.values()) == {1}


def test_what_expired_goes_into_another_batch_and_what_failed_is_asked_alone(
    provider: BatchProvider, kept: Path, cache: AnswerCache
) -> None:
    fates = {
        "What is 3?": [EXPIRED],
        "What is 4?": [EXPIRED, EXPIRED],
        "What is 5?": [failed(400, "filtered")],
        "What is 6?": [failed(500, "broke")],
    }
    fates["What is 7?"] = [{"response": {"status_code": 200, "body": chat_body("7") | {"choices": []}}, "error": None}]
    fates["What is 8?"] = [{"response": None, "error": None}]
    provider.line = lambda prompt, nth: (
        fates[prompt][nth - 1] if nth <= len(fates.get(prompt, [])) else answered(prompt)
    )
    # The trial's prompts are drawn from all: of those in it, no batch asks.
    first = {each for each in fates if each in provider.alone}
    found, purse = go(provider, kept, cache)
    tried = set(provider.alone[:TRIAL])
    expired = {"What is 3?", "What is 4?"} - tried
    assert len(provider.batches) == 1 + len({"What is 3?"} - tried or expired) + len({"What is 4?"} - tried)
    assert set(provider.alone[TRIAL:]) == fates.keys() - tried - expired and not first
    alone = sum(not each.batch for each in found.values())
    empty = "What is 7?" not in tried
    assert purse.dollars == alone * FULL + (40 - alone) * FULL / 2 + empty * FULL / 2, (
        "what settles nothing is paid, too"
    )


def label_for_the_kill(url: str, kept: str, cache: str) -> None:
    """In a process of its own, as `test_after_a_kill_the_same_batch_is_fetched` starts it."""
    asked = endpoint(BatchProvider(url))
    ask(asked, PROMPTS, Path(kept), lambda *_: None, fault=lambda *_: None, cache=AnswerCache(Path(cache)))


def test_after_a_kill_the_same_batch_is_fetched(provider: BatchProvider, kept: Path, cache: AnswerCache) -> None:
    provider.polls = 10**6
    program = "import sys; from tests.teaching.test_batches import *; label_for_the_kill(*sys.argv[1:])"
    where = [provider.url, str(kept), str(kept.parent / "home" / "answers.sqlite")]
    with subprocess.Popen([sys.executable, "-c", program, *where], cwd=CHECKOUT) as process:
        while not any(each["polls"] for each in provider.batches.values()):
            assert process.poll() is None
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    provider.polls = 1
    found, purse = go(provider, kept, cache)
    assert (len(provider.batches), len(provider.alone)) == (1, TRIAL) and set(provider.asked.values()) == {1}
    assert purse.dollars == TRIAL * FULL + (40 - TRIAL) * FULL / 2
    assert sum(each.batch == "batch-0" for each in found.values()) == 40 - TRIAL


def test_a_key_that_is_revoked_while_a_batch_is_created_costs_nothing(
    provider: BatchProvider, kept: Path, cache: AnswerCache
) -> None:
    """The provider has the batch, and its reply does not arrive: nobody knows its id."""
    provider.override = lambda method, path: error(401, "revoked") if "batch" in path and provider.batches else True
    said = r"^provider openai at .* refuses (GET|POST) /batches.*: HTTP 401: revoked; batches under way are kept"
    with pytest.raises(StageError, match=said) as raised:
        go(provider, kept, cache)
    assert len(provider.batches) == 1 and "\n" not in str(raised.value)
    provider.override = lambda method, path: True
    _, purse = go(provider, kept, cache)
    assert (len(provider.batches), len(provider.alone)) == (1, TRIAL)
    assert purse.dollars == TRIAL * FULL + (40 - TRIAL) * FULL / 2


def test_a_journal_that_holds_half_of_a_batch_gets_the_other_half(provider: BatchProvider, kept: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == total:
            raise BudgetError("spent")

    with pytest.raises(BudgetError):
        ask(endpoint(provider), PROMPTS, kept, stop, fault=lambda *_: None)
    lines = kept.read_bytes().splitlines(keepends=True)
    kept.write_bytes(b"".join(lines[:-15]))
    _, purse = go(provider, kept, None)
    assert (len(provider.batches), len(provider.alone)) == (1, TRIAL) and set(provider.asked.values()) == {1}
    assert purse.dollars == TRIAL * FULL + (40 - TRIAL) * FULL / 2


def test_a_machine_that_replaces_another_finds_the_batch_at_the_provider(
    provider: BatchProvider, kept: Path, cache: AnswerCache
) -> None:
    def leave(done: int, total: int) -> None:
        if provider.batches:
            raise StageError("preempted")

    with pytest.raises(StageError, match="preempted"):
        ask(endpoint(provider), PROMPTS, kept, leave, fault=lambda *_: None, cache=cache)
    elsewhere = kept.parent / "elsewhere"
    elsewhere.mkdir()
    go(provider, elsewhere / "answers.jsonl", AnswerCache(elsewhere / "answers.sqlite"))
    assert len(provider.batches) == 1 and set(provider.asked.values()) == {1}
    # Who wants answers anew is not given that batch.
    go(provider, elsewhere / "anew.jsonl", None)
    assert len(provider.batches) == 2


def test_lost_replies_pages_and_busy_servers_on_the_way_create_one_batch(
    provider: BatchProvider, kept: Path, cache: AnswerCache
) -> None:
    faults = {
        "POST /v1/files": [Reply(b"<html>Sign in</html>"), error(429, "slow", **{"Retry-After": "0.02"})],
        "POST /v1/batches": [None],
        "GET /v1/batches/batch-0": [Reply(b"null"), error(503, "loading"), Reply(b'{"id": "ba')],
    }
    faults["GET /v1/files/file-3/content"] = [Reply(b"<html>"), None]
    provider.override = lambda method, path: of.pop(0) if (of := faults.get(f"{method} {path}")) else True
    found, _ = go(provider, kept, cache)
    assert not any(faults.values()), "each has been sent"
    assert len(provider.batches) == 1 and set(provider.asked.values()) == {1}
    assert sum(bool(each.batch) for each in found.values()) == 40 - TRIAL


def test_a_batch_that_is_not_taken_is_one_line_and_the_next_attempt_makes_another(
    provider: BatchProvider, kept: Path, cache: AnswerCache
) -> None:
    provider.status = "failed"
    said = r"^provider openai did not take batch batch-0: Enqueued token limit reached: lower `batch\.requests`"
    with pytest.raises(StageError, match=said) as raised:
        go(provider, kept, cache)
    assert "\n" not in str(raised.value)
    provider.status = "completed"
    go(provider, kept, cache, requests=20)
    assert len(provider.batches) == 3 and len(provider.alone) == TRIAL


def test_a_batch_is_no_larger_than_the_budget(provider: BatchProvider, kept: Path) -> None:
    dearest = PRICE.dollars(Usage(14 + 16, 64))
    purse = Purse(TRIAL * dearest + 10 * dearest / 2)
    with pytest.raises(BudgetError):
        go(provider, kept, None, purse=purse)
    assert purse.dollars <= TRIAL * dearest + 10 * dearest / 2
    assert 10 <= len(provider.asked) < 32 and set(provider.asked.values()) == {1}


def test_an_unreadable_record_is_said_and_the_batch_is_found_by_its_key(
    provider: BatchProvider, kept: Path, cache: AnswerCache
) -> None:
    with pytest.raises(StageError, match="left"):
        ask(endpoint(provider), PROMPTS, kept, lambda *_: leave(provider), fault=lambda *_: None, cache=cache)
    record = kept.with_suffix(".batches.jsonl")
    record.write_bytes(record.read_bytes()[:-9])
    go(provider, kept, cache)
    record.write_bytes(b"\xff\x00 no record\n{}\n[]\n")
    go(provider, kept, cache)
    assert len(provider.batches) == 1


def leave(provider: BatchProvider) -> None:
    if provider.batches:
        raise StageError("left")


def test_another_models_name_is_kept_and_said_once(provider: BatchProvider, kept: Path, cache: AnswerCache) -> None:
    provider.line = lambda prompt, nth: {"response": {"status_code": 200, "body": chat_body(prompt, "cheap")}}
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="WARNING")
    try:
        found, _ = go(provider, kept, cache)
    finally:
        logger.remove(sink)
    assert [line for line in lines if "has answers of 'cheap'" in line] and len(lines) == 1
    assert {each.model for each in found.values() if each.batch} == {"cheap"}
