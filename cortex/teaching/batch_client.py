"""Client of a provider's batches, in the protocol of OpenAI's Batch API: a file of requests, answered within a day.

Source: https://platform.openai.com/docs/guides/batch. Requests that fail for a while are repeated for as long as the
endpoint's patience lasts. A batch carries a key in its metadata: one whose creation got no reply is found by that, and
not created, and paid, once more.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from cortex.artifacts.patience import Patience
from cortex.errors import StageError
from cortex.teaching.bounded_http import BoundedHttp, NoReplyError, upload_form
from cortex.teaching.chat import Endpoint
from cortex.teaching.completion import Completion, read_reply
from cortex.text import harmless

WINDOW = "24h"
"""Time in which a batch is answered or expires; the protocol knows no other."""
KEY = "cortex_batch"
"""Name of a batch's key in its metadata."""
FILE_BYTES = 1024**3
"""Maximum bytes of a file of answers."""
LISTED, PAGES = 100, 20
"""Batches of a page of the provider's list, and pages that are searched: the newest come first."""
PACE = Patience(first=1.0, longest=60.0)
LONGEST_WAIT = 120.0
"""Maximum seconds for which a Retry-After is honoured."""


@dataclass(frozen=True)
class BatchState:
    """A batch as its provider describes it."""

    id: str
    status: str
    files: tuple[str, ...] = ()
    """Files of answers and of errors."""
    done: int = 0
    """Requests that have been answered or have failed."""
    reason: str = ""
    """Fault of a batch that was not accepted."""
    key: str = field(default="", compare=False)

    @property
    def ended(self) -> bool:
        return self.status in ("completed", "expired", "cancelled", "failed")

    @property
    def usable(self) -> bool:
        """True if answers are there, or may still come."""
        return self.status != "failed" and not (self.status in ("expired", "cancelled") and not self.files)


class BatchRefusedError(StageError):
    """The provider refuses a request about a batch."""


class BatchClient:
    """Requests about batches at one provider."""

    def __init__(self, endpoint: Endpoint, http: BoundedHttp) -> None:
        self._endpoint, self._http = endpoint, http
        self._patience = replace(PACE, deadline=endpoint.patience_seconds)

    async def upload(self, requests: bytes) -> str:
        """Store a file of requests, one JSON a line; returns its id.

        Raises:
            StageError: the provider refuses it, or does not answer.
        """

        def form() -> dict[str, Any]:  # anew for each try: a form is read while it is sent
            return {"data": upload_form(requests, "requests.jsonl", purpose="batch")}

        return str((await self._call("POST", "/files", form, needs="id"))["id"])

    async def create(self, file: str, key: str) -> BatchState:
        """Create the batch of a file, once, even where its first reply is lost.

        Raises:
            StageError: the provider refuses it, or does not answer.
        """
        asked = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": WINDOW}
        body = {"json": {**asked, "metadata": {KEY: key}}}

        async def exists() -> dict[str, Any] | None:
            return await self._find(key)

        return _read_state(await self._call("POST", "/batches", lambda: body, needs="id", before_retry=exists))

    async def state(self, batch: str) -> BatchState:
        """Raises StageError: the provider does not know it, or does not answer."""
        return _read_state(await self._call("GET", f"/batches/{batch}", dict, needs="status"))

    async def find(self, key: str) -> BatchState | None:
        """The newest usable batch with a key; None if there is none.

        Raises:
            BatchRefusedError: the provider lists no batches.
            StageError: it does not answer.
        """
        found = await self._find(key)
        return _read_state(found) if found else None

    async def _find(self, key: str) -> dict[str, Any] | None:
        after = ""
        for _ in range(PAGES):
            page = await self._call("GET", f"/batches?limit={LISTED}{after}", dict, needs="data")
            listed = [each for each in page["data"] if isinstance(each, dict)] if isinstance(page["data"], list) else []
            states = [(_read_state(each), each) for each in listed]
            found = next((each for state, each in states if state.key == key and state.usable), None)
            if found or not listed or page.get("has_more") is not True:
                return found
            after = f"&after={listed[-1].get('id', '')}"
        return None

    async def read(self, file: str) -> Iterator[dict[str, Any]]:
        """The lines of a file of answers or errors; those that are no JSON objects are left out.

        Raises:
            StageError: the file is not there, holds no such line, or the provider does not answer.
        """
        body = await self._fetch("GET", f"/files/{file}/content", dict, _has_lines, limit=FILE_BYTES)
        return _lines(body)

    async def _call(
        self,
        method: str,
        path: str,
        body: Callable[[], dict[str, Any]],
        *,
        needs: str,
        before_retry: Callable[[], Any] | None = None,
    ) -> dict[str, Any]:
        """The JSON object that a request returns; it has the key `needs`."""

        def fits(data: bytes) -> bool:
            found = _parse(data)
            return found is not None and needs in found

        data = await self._fetch(method, path, body, fits, before_retry=before_retry)
        found = data if isinstance(data, dict) else _parse(data)
        assert found is not None
        return found

    async def _fetch(
        self,
        method: str,
        path: str,
        body: Callable[[], dict[str, Any]],
        fits: Callable[[bytes], bool],
        *,
        limit: int | None = None,
        before_retry: Callable[[], Any] | None = None,
    ) -> Any:
        """The body of a reply that fits; or what `before_retry` finds, which makes another try unneeded."""
        clock = self._patience.clock
        began, attempt = clock(), 0
        while True:
            try:
                reply = await self._http.send(method, path, limit=limit, **body())
                if 200 <= reply.status < 300 and fits(reply.body):
                    return reply.body
                fault = read_reply(reply.status, reply.body, reply.headers)
            except NoReplyError as error:
                fault = error.completion
            if fault.kind in ("denied", "refused"):
                raise BatchRefusedError(self._describe(f"refuses {method} {path.partition('?')[0]}: {fault.reason}"))
            attempt += 1
            if clock() - began >= self._patience.deadline:
                seconds = f"{self._patience.deadline:g} s"
                raise StageError(self._describe(f"has not answered {method} {path} for {seconds}: {fault.reason}"))
            await asyncio.sleep(self._wait(attempt, fault))
            if before_retry and (found := await before_retry()):
                return found

    def _wait(self, attempt: int, fault: Completion) -> float:
        return max(self._patience.wait_after(attempt), min(fault.retry_after, LONGEST_WAIT))

    def _describe(self, what: str) -> str:
        name = self._endpoint.name or self._endpoint.model
        return (
            f"provider {name} at {self._endpoint.url} {what}; batches under way are kept: see what it says of them, or "
            "remove `batch` from it, then run the same command again"
        )


def _read_state(found: dict[str, Any]) -> BatchState:
    counts, metadata = found.get("request_counts"), found.get("metadata")
    done = [counts.get(key) for key in ("completed", "failed")] if isinstance(counts, dict) else []
    files = [found.get(key) for key in ("output_file_id", "error_file_id")]
    errors = found.get("errors")
    data = errors.get("data") if isinstance(errors, dict) else None
    said = data[0].get("message") if isinstance(data, list) and data and isinstance(data[0], dict) else None
    return BatchState(
        id=str(found.get("id", "")),
        status=str(found.get("status", "validating")),
        files=tuple(file for file in files if isinstance(file, str) and file),
        done=sum(count for count in done if isinstance(count, int)),
        reason=harmless(said, limit=200) if isinstance(said, str) else "no reason is given",
        key=str(metadata.get(KEY, "")) if isinstance(metadata, dict) else "",
    )


def _parse(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _lines(data: bytes) -> Iterator[dict[str, Any]]:
    return (found for line in data.splitlines() if (found := _parse(line)) is not None)


def _has_lines(data: bytes) -> bool:
    """True of an empty file, too: a batch may have no errors."""
    return not data.strip() or any("custom_id" in line for line in _lines(data))
