"""API keys: only their hashes are kept, and a key counts until it is revoked."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.errors import DataError, UsageError
from cortex.serving.api_keys import PREFIX, find_key, make_key, read_keys, read_scopes, revoke_key, write_key
from cortex.serving.callers import Access
from cortex.serving.refusals import Refusal

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def test_the_bucket_never_holds_a_key(store: Store) -> None:
    text, made = make_key("ada", ("chat",), 60, NOW)
    write_key(store, made)
    kept = store.get(f"{PREFIX}/{made.id}.json").decode()
    assert text.rpartition("-")[2] not in kept and made.sha256 in kept
    assert find_key(text, read_keys(store)) == made


@pytest.mark.parametrize("change", [lambda text: text[:-1], lambda text: text + "x", lambda _: "", lambda _: "cortex-"])
def test_another_text_is_no_key(store: Store, change: Callable[[str], str]) -> None:
    text, made = make_key("ada", ("chat",), 60, NOW)
    assert find_key(change(text), {made.id: made}) is None


def test_a_revoked_key_stays_revoked(store: Store) -> None:
    text, made = make_key("ada", ("chat",), 60, NOW)
    write_key(store, made)
    first = revoke_key(store, made.id, NOW)
    assert revoke_key(store, made.id, NOW + dt.timedelta(days=1)) == first
    assert find_key(text, read_keys(store)) is None
    with pytest.raises(UsageError, match="no API key 'nobody'"):
        revoke_key(store, "nobody", NOW)


def test_a_damaged_record_ends_no_gateway_that_runs(store: Store) -> None:
    text, made = make_key("ada", ("chat",), 60, NOW)
    write_key(store, made)
    access = Access(store)
    access.read()
    store.put(f"{PREFIX}/{made.id}.json", b"{}")
    with pytest.raises(DataError, match=r"is no API key: remove it"):
        access.read()
    assert access.caller(text, "chat").id == made.id


def test_a_caller_is_limited_by_its_key_alone() -> None:
    (first, ada), (second, bob) = make_key("ada", ("chat",), 2, NOW), make_key("bob", ("chat",), 1, NOW)
    access = Access(open_store("/nowhere"), {ada.id: ada, bob.id: bob})
    assert [access.caller(first, "chat").id for _ in range(2)] == [ada.id] * 2
    with pytest.raises(Refusal) as refused:
        access.caller(first, "chat")
    assert refused.value.status == 429 and 1 <= (refused.value.retry_after or 0) <= 60
    assert access.caller(second, "chat").id == bob.id


def test_scopes_are_read_by_name() -> None:
    assert read_scopes("chat, metrics") == ("chat", "metrics")
    with pytest.raises(UsageError, match="known are domains, chat, metrics"):
        read_scopes("chat,everything")
