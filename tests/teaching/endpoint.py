"""An endpoint on loopback that gives a test's replies, counts its requests, and can break off or be slow."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cortex.domains.markets.scripted_teacher import answer
from cortex.domains.question import Conversation, Message
from cortex.teaching.chat import Endpoint

PROMPTS = {f"NEAR-{number}": f"NEAR 1d day{number} flow:{number % 5 - 2} range:2.8" for number in range(40)}


def conversations(prompts: Mapping[str, str]) -> dict[str, Conversation]:
    """Each prompt as a conversation of one question."""
    return {example: (Message("user", prompt),) for example, prompt in prompts.items()}


@dataclass(frozen=True)
class Reply:
    """One HTTP reply."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    endless: bool = False
    """Send the body again and again, without a length, until the client closes the connection."""


Script = Callable[[str, int], Reply | None]
"""The reply to the n-th request of a prompt, from 1; None closes the connection without a reply."""


def completion(content: Any, finish: Any = "stop", **message: Any) -> Reply:
    """A completion as the protocol has it; further keywords are fields of the message."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
    body: dict[str, Any] = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    return Reply(json.dumps(body).encode())


def right(prompt: str, nth: int = 1) -> Reply:
    """The scripted teacher's answer, as it should come."""
    del nth
    return completion(answer(prompt))


def error(status: int, message: str, **headers: str) -> Reply:
    """A refusal in OpenAI's shape."""
    return Reply(json.dumps({"error": {"message": message}}).encode(), status, headers)


@dataclass
class Teacher:
    """The server's replies, which a test may change at any time, and its requests so far."""

    url: str = ""
    script: Script = right
    seconds: float = 0.0
    """Seconds that each reply takes."""
    asked: list[str] = field(default_factory=list)
    told: list[str | None] = field(default_factory=list[str | None])
    """The system message of each request, if it has one."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def endpoint(self, **values: Any) -> Endpoint:
        given: dict[str, Any] = {"concurrency": 4, "temperature": 0.7, "max_tokens": 64, "patience_seconds": 20.0}
        return Endpoint(self.url, "none", "m", **given | values)


@contextmanager
def serving(teacher: Teacher, port: int = 0) -> Iterator[Teacher]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            first, prompt = request["messages"][0], request["messages"][-1]["content"]
            with teacher.lock:
                teacher.asked.append(prompt)
                teacher.told.append(first["content"] if first["role"] == "system" else None)
                nth = teacher.asked.count(prompt)
            time.sleep(teacher.seconds)
            reply = teacher.script(prompt, nth)
            self.close_connection = reply is None or reply.endless
            if reply:
                self.reply(reply)

        def reply(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if not reply.endless:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            try:
                self.wfile.write(reply.body)
                while reply.endless:
                    self.wfile.write(reply.body)
                    time.sleep(0.001)
            except OSError:  # it has had enough
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    teacher.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield teacher
    finally:
        server.shutdown()
        server.server_close()
