"""A provider of answers on loopback with a latency and faults of every kind, for tests and benchmarks of the client.

It prints its address, and writes a line for each request into `--log`: the prompt's hash, what it replied, and the
tokens that it bills. What it replies depends on the seed, the prompt and the number of its request alone.
"""

import argparse
import asyncio
import hashlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import IO, Any

FAULTS = ("429", "503", "500", "drop", "html", "null", "half", "empty", "error in 200", "redirect", "broken off")
REFUSAL = "refusal"

_HTML = b"<!doctype html><title>Sign in</title>"


class FaultyProvider:
    """The server's state: requests so far by prompt, and the log."""

    def __init__(self, args: argparse.Namespace, log: IO[str]) -> None:
        self._args, self._log = args, log
        self._asked: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line.partition(b":")[2])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                reply = await self._answer(json.loads(await reader.readexactly(length)))
                if reply is None:
                    break
                writer.write(reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()

    async def _answer(self, request: dict[str, Any]) -> bytes | None:
        prompt = request["messages"][-1]["content"]
        self._asked[prompt] += 1
        rng = random.Random(f"{self._args.seed} {prompt} {self._asked[prompt]}")
        kinds = FAULTS if self._args.no_refusals else (*FAULTS, REFUSAL)
        kind = rng.choice(kinds) if rng.random() < self._args.faults else "answer"
        usage = [len(prompt), rng.randint(20, 60)] if kind in ("answer", "broken off") else [0, 0]
        await asyncio.sleep(self._args.latency)
        name = hashlib.sha256(prompt.encode()).hexdigest()[:16]
        self._log.write(json.dumps({"prompt": name, "kind": kind, "usage": usage}) + "\n")
        self._log.flush()
        return _reply(kind, request["model"], prompt, usage)


def _reply(kind: str, model: str, prompt: str, usage: list[int]) -> bytes | None:
    counted = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    text = f"<think>{prompt}</think><answer>{len(prompt)}</answer>"
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    body: dict[str, Any] = {"id": "1", "object": "chat.completion", "created": 0, "model": model}
    whole = json.dumps({**body, "choices": [choice], "usage": counted}).encode()
    broken = json.dumps({**body, "choices": [choice | {"finish_reason": "error"}], "usage": counted}).encode()
    error = json.dumps({"error": {"message": kind, "code": 502}}).encode()
    replies: dict[str, bytes | None] = {
        "answer": _http(200, whole),
        "429": _http(429, error, "Retry-After: 0.2"),
        "503": _http(503, error),
        "500": _http(500, error),
        "drop": None,
        "html": _http(200, _HTML),
        "null": _http(200, b"null"),
        "half": _http(200, whole[: len(whole) // 2]),
        "empty": _http(200, b'{"choices": []}'),
        "error in 200": _http(200, error),
        "redirect": _http(302, b"", "Location: /login"),
        "broken off": _http(200, broken),
        REFUSAL: _http(400, error),
    }
    return replies[kind]


def _http(status: int, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} .", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds of each reply")
    parser.add_argument("--faults", type=float, default=0.1, help="share of requests that get no answer")
    parser.add_argument("--no-refusals", action="store_true", help="of faults, send none that is a refusal")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, required=True)
    args = parser.parse_args()
    with args.log.open("a", encoding="utf-8") as log:
        server = await asyncio.start_server(FaultyProvider(args, log).serve, "127.0.0.1", 0)
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
