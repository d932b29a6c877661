"""The client of batches against providers that do not keep to the protocol, and the addresses and headers it sends."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cortex.artifacts.patience import Patience
from cortex.errors import StageError
from cortex.teaching import batch_client, batch_http
from cortex.teaching.batch_client import KEY, BatchClient, BatchState
from cortex.teaching.chat import Endpoint

from .batch_server import BatchProvider, providing
from .endpoint import Reply, error

pytestmark = pytest.mark.integration

Asked = Callable[[BatchClient], Awaitable[Any]]
CALLS: dict[str, Asked] = {
    "upload": lambda client: client.upload(b"{}\n"),
    "create": lambda client: client.create("file-0", "k"),
    "state": lambda client: client.state("batch-0"),
    "find": lambda client: client.find("k"),
    "read": lambda client: client.read("file-0"),
}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_client, "PACE", Patience(first=0.01, longest=0.02))


@contextmanager
def replying(reply: Callable[[str, str], Reply | bool | None]) -> Iterator[BatchProvider]:
    with providing(BatchProvider(override=reply)) as provider:
        yield provider


def do(provider: BatchProvider, call: Asked, path: str = "", key: str = "sk-secret", **values: Any) -> Any:
    async def run() -> Any:
        given: dict[str, Any] = {"patience_seconds": 0.0, "name": "openai"} | values
        async with BatchClient(Endpoint(provider.url + path, key, "m", 4, 0.7, 64, **given)) as client:
            return await call(client)

    return asyncio.run(run())


def fault(provider: BatchProvider, call: Asked, **values: Any) -> str:
    with pytest.raises(StageError, match=f"^provider openai at {provider.url} ") as raised:
        do(provider, call, **values)
    said = str(raised.value)
    assert "\n" not in said and "sk-secret" not in said and len(said) < 700
    return said


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "body",
    [b"<html>Sign in</html>", b'{"id": "ba', b"null", b"[]", b"5", b'{"error": {"message": "no"}}', b"[" * 100_000],
    ids=["html", "half", "null", "list", "number", "error", "nested"],
)
def test_what_is_no_reply_of_the_protocol_is_one_line(body: bytes, call: str) -> None:
    kind = {"Content-Type": "application/json; charset=hex"}
    with replying(lambda method, path: Reply(body, headers=kind)) as provider:
        assert "has not answered" in fault(provider, CALLS[call])


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ("upload", {"id": 5}),
        ("upload", {"id": ".."}),
        ("create", {"id": ""}),
        ("create", {"id": ["batch"], "status": "validating"}),
        ("state", {"id": "batch-0"}),
        ("state", {"id": "batch-0", "status": 5}),
        ("find", {"id": "list", "data": 5}),
    ],
)
def test_a_reply_with_odd_fields_is_one_line(call: str, found: dict[str, Any]) -> None:
    with replying(lambda method, path: Reply(json.dumps(found).encode())) as provider:
        assert "lacks fields, or has odd ones" in fault(provider, CALLS[call])


def test_odd_fields_that_are_not_needed_are_left_out() -> None:
    odd = {"id": "b", "status": "completed", "output_file_id": 5, "error_file_id": "../x y", "request_counts": [1]}
    odd |= {"errors": {"data": ["?"]}, "metadata": [], "created_at": "soon"}
    with replying(lambda method, path: Reply(json.dumps(odd).encode())) as provider:
        assert do(provider, CALLS["state"]) == BatchState("b", "completed", reason="no reason is given")


@pytest.mark.parametrize("call", CALLS)
def test_a_redirect_is_not_followed(call: str) -> None:
    asked: list[str] = []

    def note(method: str, path: str) -> bool:
        asked.append(path)
        return True

    with replying(note) as other:
        target = {"Location": f"{other.url}/batches/batch-0"}
        with replying(lambda method, path: Reply(b"", 307, target)) as provider:
            assert "HTTP 307, a redirect to http://127.0.0.1:" in fault(provider, CALLS[call])
    assert not asked


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("call", CALLS)
def test_a_reply_that_is_too_long_is_not_read(call: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_http, "REPLY_BYTES", 1000)
    monkeypatch.setattr(batch_http, "FILE_BYTES", 2000)
    with replying(lambda method, path: Reply(b'{"id": "%s"}' % (b"x" * 3000), status)) as provider:
        assert f"more than {'2,000' if call == 'read' else '1,000'} bytes" in fault(provider, CALLS[call])


def test_a_provider_that_hangs_or_is_not_there_is_one_line() -> None:
    with replying(lambda method, path: None) as provider:
        assert "has not answered POST /files for 0 s: Server disconnected" in fault(provider, CALLS["upload"])
        assert "no whole reply within 0.001 s" in fault(provider, CALLS["state"], reply_seconds=0.001)
    assert "has not answered GET /batches/batch-0 for 0 s: " in fault(provider, CALLS["state"])


def test_the_providers_wait_is_kept_to_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_client, "LONGEST_WAIT", 0.3)
    faults = [error(429, "slow", **{"Retry-After": seconds}) for seconds in ("0.2", "3600")]
    found = Reply(b'{"id": "batch-0", "status": "completed"}')
    with replying(lambda method, path: faults.pop(0) if faults else found) as provider:

        async def timed(client: BatchClient) -> float:
            clock = asyncio.get_running_loop().time
            began = clock()
            await client.state("batch-0")
            return clock() - began

        assert 0.5 <= do(provider, timed, patience_seconds=60) < 30


def listing(pages: list[list[str]], *, more: bool = True) -> Callable[[str, str], Reply]:
    """Pages of batches, whose ids and keys are the same."""

    def reply(method: str, path: str) -> Reply:
        after = parse_qs(urlsplit(path).query).get("after", [""])[0]
        place = next((at for at, page in enumerate(pages, 1) if after == page[-1]), 0)
        found: dict[str, Any] = {
            "data": [{"id": name, "status": "completed", "metadata": {KEY: name}} for name in pages[place]]
        }
        return Reply(json.dumps(found | ({"has_more": place + 1 < len(pages)} if more else {})).encode())

    return reply


def test_a_batch_is_searched_on_all_pages_of_the_list() -> None:
    with replying(listing([["a", "b"], ["c", "d"], ["e", "k"]])) as provider:
        assert do(provider, CALLS["find"]) == BatchState("k", "completed", reason="no reason is given")
    with replying(listing([["a", "b"], ["c", "d"]])) as provider:
        assert do(provider, CALLS["find"]) is None


def test_a_list_without_an_end_is_left_after_a_limit() -> None:
    with replying(listing([["a", "b"], ["c", "k"]], more=False)) as provider:
        assert do(provider, CALLS["find"]) is None
    asked: list[str] = []

    def same(method: str, path: str) -> Reply:
        asked.append(path)
        return Reply(b'{"data": [{"id": "a"}], "has_more": true}')

    with replying(same) as provider:
        assert do(provider, CALLS["find"]) is None
    assert len(asked) == batch_client.PAGES
    with replying(lambda method, path: Reply(b'{"data": null, "has_more": true}')) as provider:
        assert do(provider, CALLS["find"]) is None


def test_azure_deployments_share_their_resources_files_and_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key goes in Azure's header, and no account of the environment goes along."""
    environment = {"OPENAI_ORG_ID": "org-1", "OPENAI_PROJECT_ID": "p-1", "AZURE_OPENAI_AD_TOKEN": "other"}
    environment |= {"OPENAI_BASE_URL": "http://nowhere.example", "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer other"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    paths: list[str] = []

    def note(method: str, path: str) -> Reply:
        paths.append(path)
        return Reply(b'{"id": "batch-0", "status": "completed"}')

    with replying(note) as provider:
        do(provider, CALLS["state"], key="key-a")
        do(provider, CALLS["state"], "/openai/deployments/gpt", key="key-b", azure_version="2025-04-01")
    assert paths == ["/v1/batches/batch-0", "/v1/openai/batches/batch-0?api-version=2025-04-01"]
    plain, azure = provider.headers
    assert (plain["authorization"], azure["api-key"]) == ("Bearer key-a", "key-b")
    assert not {"openai-organization", "openai-project", "api-key"} & plain.keys()
    assert not {"openai-organization", "openai-project"} & azure.keys() and "other" not in str(azure)
