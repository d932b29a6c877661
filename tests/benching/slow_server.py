"""A chat server of known latencies and known faults: `python -m tests.benching.slow_server '{"first": 0.05}'`.

It prints its address, and answers `GET /v1/models`, `GET /metrics` and `POST /v1/chat/completions` with a stream.
"""

import asyncio
import json
import sys
from dataclasses import dataclass
from typing import Any, Literal

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


_ROUTES: dict[bytes, tuple[int, object]] = {
    b"/v1/models": (200, {"object": "list", "data": [{"id": "slow", "object": "model"}]}),
    b"/metrics": (200, "process_resident_memory_bytes 123456789.0\nvllm:kv_cache_usage_perc 0.25\n"),
}


@dataclass(frozen=True)
class Behaviour:
    """Latencies in seconds, and faults by the number of the request, which counts from 1."""

    first: float = 0.05
    """From the request to the first token."""
    between: float = 0.01
    """Between two tokens."""
    tokens: int | None = None
    """Tokens of an answer; None for as many as were asked for."""
    bundle: int = 1
    """Tokens in each chunk."""
    fail_every: int = 0
    """Answer every n-th request with 500."""
    fault: Literal["none", "hang", "close", "cut", "garbage", "empty", "busy", "hang_midway", "error_event"] = "none"
    """Behaviour of every faulty request: none of them by default, all of them otherwise, or every `fault_every`-th."""
    fault_every: int = 1
    fault_after: int = 0
    """Requests that are answered well before any fault."""
    key: str = ""
    """The only key that is let in; empty lets in everybody."""
    usage: bool = True
    slots: int = 0
    """Requests that are worked on at a time, others wait; 0 for no limit."""


class SlowServer:
    """The server's state: its behaviour and the requests so far."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour, self._count = behaviour, 0
        self._slots = asyncio.Semaphore(behaviour.slots or 1_000_000)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a connection's requests, one after the other."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
                )
                body = await reader.readexactly(length)
                if not await self._answer(head, body, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False ends the connection."""
        own = self._behaviour
        if own.key and f"authorization: bearer {own.key}".lower().encode() not in head.lower():
            return _plain(writer, 401, {"error": {"message": "no such key"}})
        if not head.startswith(b"POST /v1/chat/completions"):
            return _plain(writer, *_ROUTES.get(head.split(maxsplit=2)[1], (404, "")))
        self._count += 1
        if own.fail_every and self._count % own.fail_every == 0:
            return _plain(writer, 500, {"error": {"message": "planned"}})
        faulty = self._count > own.fault_after and self._count % own.fault_every == 0
        fault = own.fault if faulty else "none"
        if fault == "busy":
            return _plain(writer, 429, {"error": {"message": "too many requests"}})
        if fault == "close":
            return False
        async with self._slots:
            return await self._stream(json.loads(body), fault, writer)

    async def _stream(self, request: dict[str, Any], fault: str, writer: asyncio.StreamWriter) -> bool:
        own = self._behaviour
        # The head and the role come at once, as of some servers: they are no token.
        writer.write(HEAD)
        _event(
            writer, {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
        )
        await writer.drain()
        await asyncio.sleep(3600 if fault == "hang" else own.first)
        tokens = 0 if fault == "empty" else own.tokens or request["max_tokens"]
        for token in range(0, tokens, own.bundle):
            if token:
                await asyncio.sleep(own.between)  # after each token, so that no two come closer than that
            if token * 2 >= tokens and fault in ("cut", "garbage", "hang_midway", "error_event"):
                return await _spoil(fault, writer)
            text = "a " * min(own.bundle, tokens - token)
            _event(writer, {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
            await writer.drain()
        _event(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})
        if own.usage:
            words = sum(len(message["content"].split()) for message in request["messages"])
            _event(writer, {"choices": [], "usage": {"prompt_tokens": words + 7, "completion_tokens": tokens}})
        _chunk(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


async def _spoil(fault: str, writer: asyncio.StreamWriter) -> bool:
    """Break off a stream: without its end, with what is no JSON, with silence, or with an error."""
    if fault == "garbage":
        _chunk(writer, b"data: {no json\n\n")
    if fault == "error_event":
        _event(writer, {"error": {"message": "the engine died", "code": 500}})
    if fault == "hang_midway":
        await asyncio.sleep(3600)
    if fault == "cut":
        writer.write(b"0\r\n\r\n")  # ends properly as HTTP goes, and in the middle of the answer
    await writer.drain()
    return fault == "cut"


def _plain(writer: asyncio.StreamWriter, status: int, value: object) -> bool:
    body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return True


def _event(writer: asyncio.StreamWriter, value: object) -> None:
    _chunk(writer, b"data: " + json.dumps(value).encode() + b"\n\n")


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


async def main() -> None:
    server = SlowServer(Behaviour(**json.loads(sys.argv[1])))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1", flush=True)
    async with listening:
        await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
