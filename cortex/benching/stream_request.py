"""One streamed chat request, timed as its chunks arrive."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from cortex.benching.bench_target import BenchTarget, answer_fault, describe
from cortex.benching.request_record import Fault, RequestRecord
from cortex.domains.question import Conversation
from cortex.limits import MIB, read_json
from cortex.text import harmless

_LINE_BYTES = MIB
"""The longest line of a stream that is read."""
_ERROR_BYTES = 64 * 1024

_TEXTS = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls")
"""Keys of a chunk's `delta` that hold some of the answer, by OpenAI's protocol and its extensions for reasoning."""


@dataclass(frozen=True)
class Ask:
    """Parameters of every request of a bench."""

    max_tokens: int
    ignore_eos: bool = False
    """Ask for exactly `max_tokens`: vLLM, SGLang and llama.cpp know the key, others may refuse it."""
    timeout: float = 120.0
    """Seconds that one whole answer may take."""

    def body(self, model: str, prompt: Conversation) -> dict[str, Any]:
        """The request in OpenAI's protocol."""
        return {
            "model": model,
            "messages": [message._asdict() for message in prompt],
            "max_tokens": self.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            **({"ignore_eos": True} if self.ignore_eos else {}),
        }


@dataclass
class _Stream:
    """The answer so far."""

    arrivals: list[float] = field(default_factory=list)
    ended: bool = False
    usage: dict[str, Any] = field(default_factory=dict)
    fault: Fault | None = None

    def take(self, payload: bytes, now: float) -> None:
        """Read one event."""
        if payload == b"[DONE]":
            self.ended = True
            return
        try:
            event = read_json(payload)
            choices: Any = event.get("choices") or []
            choice: Any = choices[0] if choices else {}
            delta: Any = choice.get("delta") or {}
            if event.get("error"):
                self.fault = Fault("error", harmless(event["error"], limit=200))
            if any(delta.get(key) for key in _TEXTS):
                self.arrivals.append(now)
            self.ended = self.ended or choice.get("finish_reason") is not None
            self.usage = event.get("usage") or self.usage
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            self.fault = Fault(
                "unreadable", f"{describe(error)}: {harmless(payload.decode(errors='replace'), limit=80)}"
            )

    def count(self, key: str) -> int | None:
        value = self.usage.get(key) if isinstance(self.usage, dict) else None
        return value if type(value) is int and 0 <= value < 10**9 else None

    def verdict(self) -> Fault | None:
        """The fault of a stream that the server has ended."""
        if self.fault:
            return self.fault
        if not self.ended:
            return Fault("cut", f"the stream ended after {len(self.arrivals)} chunks, without its last")
        return None if self.arrivals else Fault("empty", "the answer has no text")


async def send(
    client: httpx2.AsyncClient, target: BenchTarget, prompt: Conversation, ask: Ask, due: float | None = None
) -> RequestRecord:
    """Send one request, and time its answer; every fault of the server's is part of the record.

    `due` is the time at which it was to be sent: that of the call where it is None.
    """
    sent = time.perf_counter()
    stream = _Stream()
    try:
        async with asyncio.timeout(ask.timeout):
            fault = await _receive(client, target, ask.body(target.model, prompt), stream)
    except TimeoutError:
        fault = Fault("timeout", f"no whole answer within {ask.timeout:g} s, after {len(stream.arrivals)} chunks")
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError) as error:
        fault = Fault("unreachable", describe(error))
    except (httpx2.HTTPError, OSError) as error:
        fault = Fault("cut" if stream.arrivals else "closed", describe(error))
    return RequestRecord(
        due=sent if due is None else due,
        sent=sent,
        ended=time.perf_counter(),
        arrivals=tuple(stream.arrivals),
        tokens_in=stream.count("prompt_tokens"),
        tokens_out=stream.count("completion_tokens"),
        fault=fault,
    )


async def _receive(
    client: httpx2.AsyncClient, target: BenchTarget, body: dict[str, Any], stream: _Stream
) -> Fault | None:
    async with client.stream("POST", f"{target.url}/chat/completions", json=body) as reply:
        if reply.status_code != 200:
            head = bytearray()
            async for part in reply.aiter_bytes():
                head += part
                if len(head) > _ERROR_BYTES:
                    break
            return answer_fault(reply.status_code, bytes(head[:_ERROR_BYTES]))
        async for lines in _lines(reply):
            now = time.perf_counter()
            for line in lines:
                if line.startswith(b"data:"):
                    stream.take(line[5:].strip(), now)
            if stream.fault:
                break
    return stream.verdict()


async def _lines(reply: httpx2.Response) -> AsyncIterator[Sequence[bytes]]:
    """The whole lines of each piece as it arrives. Only line feeds end a line: a text may hold other separators."""
    held = b""
    async for piece in reply.aiter_bytes():
        *lines, held = (held + piece).split(b"\n")
        if len(held) > _LINE_BYTES:
            raise httpx2.DecodingError(f"a line of more than {_LINE_BYTES:,} bytes")
        yield lines
    yield [held]
