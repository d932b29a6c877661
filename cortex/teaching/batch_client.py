"""Client of a provider's batches, over OpenAI's SDK: a file of requests, answered within a day.

Source: https://platform.openai.com/docs/guides/batch. Requests that fail for a while are repeated for as long as the
endpoint's patience lasts. A batch carries a key in its metadata: one whose creation got no reply is found by that, and
not created, and paid, once more.
"""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self, TypeVar

import openai

from cortex.artifacts.patience import Patience
from cortex.errors import StageError
from cortex.teaching.batch_http import OddReplyError, open_sdk, read_lines
from cortex.teaching.chat import Endpoint
from cortex.teaching.completion import Completion, read_reply
from cortex.text import harmless

Result = TypeVar("Result")

WINDOW = "24h"
"""Time in which a batch is answered or expires; the protocol knows no other."""
KEY = "cortex_batch"
"""Name of a batch's key in its metadata."""
LISTED, PAGES = 100, 20
"""Batches of a page of the provider's list, and pages that are searched: the newest come first."""
PACE = Patience(first=1.0, longest=60.0)
LONGEST_WAIT = 120.0
"""Maximum seconds for which a Retry-After is honoured."""
_ID = re.compile(r"(?!\.+$)[!-~]{1,500}")


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
    """Requests about batches at one provider; to be entered before it is used."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint, self._sdk = endpoint, open_sdk(endpoint)
        self._patience = replace(PACE, deadline=endpoint.patience_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sdk.close()

    async def upload(self, requests: bytes) -> str:
        """Store a file of requests, one JSON a line; returns its id.

        Raises:
            StageError: the provider refuses it, or does not answer.
        """
        file = ("requests.jsonl", requests, "application/jsonl")
        return await self._call(
            "POST /files", lambda: self._sdk.files.create(file=file, purpose="batch"), lambda found: _id(found, "id")
        )

    async def create(self, file: str, key: str) -> BatchState:
        """Create the batch of a file, once, even where its first reply is lost.

        Raises:
            StageError: the provider refuses it, or does not answer.
        """

        def ask() -> Awaitable[Any]:
            return self._sdk.batches.create(
                input_file_id=file, endpoint="/v1/chat/completions", completion_window=WINDOW, metadata={KEY: key}
            )

        return await self._call("POST /batches", ask, _read_state, before_retry=lambda: self.find(key))

    async def state(self, batch: str) -> BatchState:
        """Raises StageError: the provider does not know it, or does not answer."""

        def read(found: Any) -> BatchState | None:
            return _read_state(found) if _text(found, "status") else None

        return await self._call(f"GET /batches/{batch}", lambda: self._sdk.batches.retrieve(batch), read)

    async def find(self, key: str) -> BatchState | None:
        """The newest usable batch with a key; None if there is none.

        Raises:
            BatchRefusedError: the provider lists no batches.
            StageError: it does not answer.
        """
        ask: Callable[[], Awaitable[Any]] = lambda: self._sdk.batches.list(limit=LISTED)  # noqa: E731
        for _ in range(PAGES):
            page = await self._call("GET /batches", ask, _read_page)
            states = [state for each in page.data or [] if (state := _read_state(each))]
            found = next((state for state in states if state.key == key and state.usable), None)
            # Some providers name no `has_more`: the SDK would ask such a one for pages without end.
            if found or page.has_more is not True or not page.has_next_page():
                return found
            ask = page.get_next_page
        return None

    async def read(self, file: str) -> Iterator[dict[str, Any]]:
        """The lines of a file of answers or errors; those that are no JSON objects are left out.

        Raises:
            StageError: the file is not there, holds no such line, or the provider does not answer.
        """
        what = f"GET /files/{file}/content"
        return read_lines(await self._call(what, lambda: self._sdk.files.content(file), lambda found: found.content))

    async def _call(
        self,
        what: str,
        ask: Callable[[], Awaitable[Any]],
        read: Callable[[Any], Result | None],
        *,
        before_retry: Callable[[], Awaitable[Result | None]] | None = None,
    ) -> Result:
        """The reply to a request as `read` gives it, which returns None for one that is to be asked for again.

        `before_retry` may find what makes another try unneeded.
        """
        clock = self._patience.clock
        began, attempt = clock(), 0
        while True:
            found = await self._try(ask, read)
            if not isinstance(found, Completion):
                return found
            if found.kind in ("denied", "refused"):
                raise BatchRefusedError(self._describe(f"refuses {what}: {found.reason}"))
            attempt += 1
            if clock() - began >= self._patience.deadline:
                seconds = f"{self._patience.deadline:g} s"
                raise StageError(self._describe(f"has not answered {what} for {seconds}: {found.reason}"))
            await asyncio.sleep(max(self._patience.wait_after(attempt), min(found.retry_after, LONGEST_WAIT)))
            if before_retry and (earlier := await before_retry()):
                return earlier

    async def _try(
        self, ask: Callable[[], Awaitable[Any]], read: Callable[[Any], Result | None]
    ) -> Result | Completion:
        """One request; a fault comes back as a completion that says why."""
        seconds = self._endpoint.reply_seconds
        try:
            async with asyncio.timeout(seconds):
                found = read(await ask())
            return Completion("odd", reason="a reply that lacks fields, or has odd ones") if found is None else found
        except OddReplyError as error:
            return error.completion
        except openai.APIStatusError as error:
            return read_reply(error.response.status_code, error.response.content, error.response.headers)
        except (TimeoutError, openai.APITimeoutError):
            return Completion("failing", reason=f"no whole reply within {seconds:g} s")
        except openai.APIConnectionError as error:
            return _read_connection_error(error)

    def _describe(self, what: str) -> str:
        name = self._endpoint.name or self._endpoint.model
        return (
            f"provider {name} at {self._endpoint.url} {what}; batches under way are kept: see what it says of them, or "
            "remove `batch` from it, then run the same command again"
        )


def _text(found: Any, name: str) -> str | None:
    """A field that is a text; the SDK gives fields of other types, and objects without them, as they come."""
    value = getattr(found, name, None)
    return value if isinstance(value, str) and value else None


def _id(found: Any, name: str) -> str | None:
    """A field that can be a part of an address."""
    value = _text(found, name)
    return value if value and _ID.fullmatch(value) else None


def _read_state(found: Any) -> BatchState | None:
    batch, counts = _id(found, "id"), getattr(found, "request_counts", None)
    if batch is None:
        return None
    metadata, data = getattr(found, "metadata", None), getattr(getattr(found, "errors", None), "data", None)
    done = [getattr(counts, name, None) for name in ("completed", "failed")]
    said = _text(data[0], "message") if isinstance(data, list) and data else None
    return BatchState(
        id=batch,
        status=_text(found, "status") or "validating",
        files=tuple(file for name in ("output_file_id", "error_file_id") if (file := _id(found, name))),
        done=sum(count for count in done if isinstance(count, int)),
        reason=harmless(said, limit=200) if said else "no reason is given",
        key=str(metadata.get(KEY, "")) if isinstance(metadata, dict) else "",
    )


def _read_page(found: Any) -> Any | None:
    """A page of the list; None if it is none. Some providers give null in place of no batches."""
    data = getattr(found, "data", None)
    return found if data is None or isinstance(data, list) else None


def _read_connection_error(error: openai.APIConnectionError) -> Completion:
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    reason = next((harmless(str(each), limit=200) for each in reversed(causes) if str(each).strip()), "")
    untrusted = any(isinstance(each, ssl.SSLCertVerificationError) for each in causes)
    return Completion("denied" if untrusted else "failing", reason=reason)
