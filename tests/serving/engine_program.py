"""An engine for tests of the gateway: `python -m tests.serving.engine_program PORT FOLDER` speaks vLLM's API.

It answers with the text of FOLDER/reply, and does what FOLDER/fault says: `hang`, `status 500`, `garbage`, `break` (in
mid-stream), `slow` (a token each 0.2 s). FOLDER/log has a line for each request: its body, then `done` or `aborted`.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

FOLDER = Path(sys.argv[2])
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


def fault() -> str:
    file = FOLDER / "fault"
    return file.read_text() if file.exists() else ""


def log(line: str) -> None:
    with (FOLDER / "log").open("a") as file:
        file.write(line + "\n")


async def completions(_: Request) -> Response:
    while fault() == "hang":
        await asyncio.sleep(0.05)
    return JSONResponse({"usage": {"completion_tokens": 1}})


async def chat(request: Request) -> Response:
    asked: dict[str, Any] = await request.json()
    named = {"key": request.headers.get("authorization"), "traceparent": request.headers.get("traceparent")}
    log(json.dumps({"asked": asked, **named}))
    told = fault()
    if told.startswith("status"):
        return JSONResponse({"error": {"message": "as told"}}, int(told.split()[1]))
    if told == "garbage":
        return Response(b"\xff\xfe no JSON", 200)
    if asked.get("stream"):
        return StreamingResponse(stream(told), media_type="text/event-stream")
    # As vLLM does, it stops working for a client that has left.
    leaving = asyncio.ensure_future(left(request))
    await asyncio.wait((leaving,), timeout=3600 if told == "hang" else 2 if told == "slow" else 0)
    if leaving.done():
        log("aborted")
        return Response(status_code=499)
    leaving.cancel()
    choice = {"index": 0, "message": {"role": "assistant", "content": reply()}, "finish_reason": "stop"}
    return JSONResponse({"object": "chat.completion", "choices": [choice], "usage": USAGE})


async def left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def stream(told: str) -> AsyncGenerator[bytes]:
    done = False
    try:
        for word in reply().split(" "):
            if told == "break" and word.startswith("4"):
                raise RuntimeError("as told")
            yield event({"choices": [{"index": 0, "delta": {"content": word + " "}}]})
            await asyncio.sleep(0.2 if told == "slow" else 0)
        yield event({"choices": [], "usage": USAGE})
        yield b"data: [DONE]\n\n"
        done = True
    finally:
        log("done" if done else "aborted")


def event(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def reply() -> str:
    file = FOLDER / "reply"
    return file.read_text() if file.exists() else " ".join(map(str, range(10)))


if __name__ == "__main__":
    # As vLLM's, it works in a process of its own, which does not end with it.
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (FOLDER / "processes").write_text(f"{os.getpid()} {worker.pid}")
    routes = [
        Route("/v1/completions", completions, methods=["POST"]),
        Route("/v1/chat/completions", chat, methods=["POST"]),
    ]
    uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
