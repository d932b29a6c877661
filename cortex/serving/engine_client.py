"""Requests of a gateway to its engine: whole answers and streams, each with a turn, a time limit and an account."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, suppress
from typing import Any, Protocol, TypeVar

import aiohttp
from fastapi import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from cortex.serving.admission import Admission
from cortex.serving.engine import Body
from cortex.serving.refusals import Refusal, error_body
from cortex.serving.request_spans import trace_headers
from cortex.urls import is_loopback

CHAT = "/v1/chat/completions"
KEPT_SECONDS = 3.0
"""Seconds that an idle connection is kept: fewer than the five after which vLLM closes it."""

CONNECT_SECONDS = 10.0
"""Seconds for a connection to an engine: an engine of this machine takes one at once, but a gateway with a thousand new
requests notices it late."""

_ENDED = b"\n\n"

OnUsage = Callable[[int, int], None]
"""A function that takes the prompt's tokens and the answer's."""

OnReplies = Callable[[list[str]], None]
"""A function that takes the texts of an answer's choices."""

Answer = TypeVar("Answer")


class Backend(Protocol):
    """An engine of this machine, or another gateway."""

    name: str
    url: str
    key: str
    ready: bool
    starts: int

    def answered(self) -> None:
        """Note that a user has just had a token from it."""
        ...

    def translate(self, body: Body, /) -> Body:
        """The body of a request for vLLM in this engine's words."""
        ...


class EngineClient:
    """The gateway's connection to one of its engines."""

    def __init__(self, engine: Backend, admission: Admission, seconds: float) -> None:
        self.engine, self.admission, self._seconds = engine, admission, seconds
        self._opened: aiohttp.ClientSession | None = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        """The connections, opened by the first request, because they belong to its event loop."""
        if self._opened is None:
            engine = self.engine
            key = {"Authorization": f"Bearer {engine.key}"} if engine.key else {}
            self._opened = aiohttp.ClientSession(
                headers={"Accept-Encoding": "identity", **key},
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=self._seconds),
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_SECONDS),
                auto_decompress=False,
                # No variable of a proxy may lead requests to the loopback elsewhere.
                trust_env=not is_loopback(engine.url),
            )
        return self._opened

    def _post(self, path: str, body: Body) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        sent = self.engine.translate(body)
        headers = trace_headers.get()
        return self._session.post(f"{self.engine.url}{path}", json=sent, headers=headers, allow_redirects=False)

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()

    async def chat(self, request: Request, body: Mapping[str, Any]) -> dict[str, Any]:
        """A whole answer of chat completions, as by `post`."""
        return await self.post(request, CHAT, body)

    async def post(self, request: Request, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A whole answer; the engine stops where the client leaves.

        Raises:
            Refusal: 400 of the engine itself, 429, 499, 502, 503 or 504.
        """
        async with self.admission.turn():
            self.require_ready()
            try:
                async with asyncio.timeout(self._seconds):
                    status, text = await unless_left(request, self._whole(path, body))
            except TimeoutError:
                raise self._slow() from None
            except aiohttp.ClientError as error:
                raise self._broken() from error
        found = self._read(status, text)
        self.engine.answered()
        return found

    async def _whole(self, path: str, body: Body) -> tuple[int, bytes]:
        async with self._post(path, body) as answer:
            return answer.status, await answer.read()

    async def stream(
        self, body: Mapping[str, Any], on_usage: OnUsage, *, with_usage: bool, on_replies: OnReplies | None = None
    ) -> "EngineStream":
        """A stream of chat completions, begun. `with_usage` hands on the last event, which has the usage.

        `on_replies` gets the texts of all choices once the stream has ended whole.

        Raises:
            Refusal: as `chat`, where the engine refuses before its first byte.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.admission.turn())
            self.require_ready()
            asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
            try:
                answer = await stack.enter_async_context(self._post(CHAT, asked))
                if answer.status != 200:
                    self._read(answer.status, await answer.read())
            except TimeoutError:
                raise self._slow() from None
            except aiohttp.ClientError as error:
                raise self._broken() from error
            events = self._events(answer, on_usage, with_usage=with_usage)
            return EngineStream(gather_replies(events, on_replies) if on_replies else events, stack.pop_all())

    async def _events(
        self, answer: aiohttp.ClientResponse, on_usage: OnUsage, *, with_usage: bool
    ) -> AsyncGenerator[bytes]:
        pending = b""
        try:
            async with asyncio.timeout(self._seconds):
                async for piece in answer.content.iter_any():
                    self.engine.answered()
                    *events, pending = (pending + piece).split(_ENDED)
                    kept = [event for event in events if _usage(event, on_usage) is None or with_usage]
                    if kept:
                        yield _ENDED.join(kept) + _ENDED
        except (TimeoutError, aiohttp.ClientError):
            broken = error_body(502, "the engine broke off the stream: ask again")
            yield b"data: " + json.dumps(broken).encode() + _ENDED

    def require_ready(self) -> None:
        """Raises Refusal: 503 while the engine generates no tokens."""
        if not self.engine.ready:
            raise Refusal(503, "the engine is starting: ask again later", retry_after=5)

    def _read(self, status: int, text: bytes) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except ValueError as error:
            raise self._broken() from error
        if status == 200 and isinstance(found, dict):
            return found
        message = found.get("error", {}).get("message") if isinstance(found, dict) else None
        if status in (400, 422) and isinstance(message, str):
            raise Refusal(400, message)
        raise Refusal(502, f"the engine answered with {status}: ask again", retry_after=1)

    def _slow(self) -> Refusal:
        return Refusal(504, f"the engine took longer than {self._seconds:g} seconds: ask for fewer tokens")

    def _broken(self) -> Refusal:
        return Refusal(503, "the engine does not answer: ask again later", retry_after=5)


def _usage(event: bytes, on_usage: OnUsage) -> bool | None:
    """Note the usage of the event that has it; None for any other event."""
    if b'"usage":{' not in event:
        return None
    try:
        found = json.loads(event.partition(b"data: ")[2])
        on_usage(int(found["usage"]["prompt_tokens"]), int(found["usage"]["completion_tokens"]))
    except (ValueError, LookupError, TypeError):
        return None
    return True if not found.get("choices") else None


async def gather_replies(events: AsyncGenerator[bytes], on_replies: OnReplies) -> AsyncGenerator[bytes]:
    """The events of a stream, unchanged, with the choices' texts put together from their pieces."""
    texts: dict[int, str] = {}
    done = False
    async with aclosing(events):
        async for piece in events:
            for event in piece.split(_ENDED):
                data = event.removeprefix(b"data: ")
                done |= data == b"[DONE]"
                with suppress(ValueError, LookupError, TypeError, AttributeError):
                    for choice in json.loads(data)["choices"]:
                        place = int(choice["index"])
                        texts[place] = texts.get(place, "") + (choice["delta"].get("content") or "")
            yield piece
    if done:
        on_replies(list(texts.values()))


class EngineStream(StreamingResponse):
    """A stream whose turn and connection end with it, also where the client leaves before its first byte."""

    def __init__(self, events: AsyncGenerator[bytes], stack: AsyncExitStack) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._stack = stack

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._stack.aclose()


async def unless_left(request: Request, answer: Awaitable[Answer]) -> Answer:
    """The answer, unless the client leaves before: then the work on it is cancelled.

    Raises:
        Refusal: 499, which nobody reads: the client has left.
    """
    working = asyncio.ensure_future(answer)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise Refusal(499, "the client has left")
    finally:
        working.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
