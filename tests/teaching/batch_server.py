"""A provider on loopback that speaks the protocol of OpenAI's Batch API, and answers prompts alone, too.

A batch is answered once its state was asked for `polls` times. It bills what it answers.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .endpoint import Reply, error

Line = Callable[[str, int], dict[str, Any]]
"""The fields `response` and `error` of the line that a batch's n-th request of a prompt gets, from 1."""


def answered(prompt: str, nth: int = 1) -> dict[str, Any]:
    del nth
    return {"response": {"status_code": 200, "body": chat_body(prompt)}, "error": None}


def failed(status: int, message: str) -> dict[str, Any]:
    return {"response": {"status_code": status, "body": {"error": {"message": message}}}, "error": None}


EXPIRED = {"response": None, "error": {"code": "batch_expired", "message": "This request could not be executed."}}


def chat_body(prompt: str, model: str = "m") -> dict[str, Any]:
    message = {"role": "assistant", "content": f"<think>{prompt}</think><answer>{len(prompt)}</answer>"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return {"model": model, "choices": [choice], "usage": {"prompt_tokens": 40, "completion_tokens": 50}}


@dataclass
class BatchProvider:
    """The server's state, which a test may change at any time."""

    url: str = ""
    line: Line = answered
    polls: int = 2
    status: str = "completed"
    """The state in which batches end."""
    override: Callable[[str, str], Reply | bool | None] = lambda method, path: True
    """A reply in place of the right one; None closes the connection once the request is done. True: the right one."""
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    """Requests in batches, by prompt."""
    alone: list[str] = field(default_factory=list)
    """Prompts that were asked alone."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """Headers of each request, by lower-case name."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def handle(self, method: str, path: str, body: bytes, kind: str) -> Reply:
        with self.lock:
            if path == "/v1/chat/completions":
                prompt = json.loads(body)["messages"][-1]["content"]
                self.alone.append(prompt)
                return _json(chat_body(prompt))
            if (method, path) == ("POST", "/v1/files"):
                return _json({"id": self._keep(_uploaded(body, kind)), "object": "file"})
            if (method, path) == ("POST", "/v1/batches"):
                return _json(self._create(json.loads(body)))
            if path.startswith("/v1/batches?"):
                return _json({"object": "list", "data": list(self.batches.values())[::-1], "has_more": False})
            if path.startswith("/v1/batches/"):
                return self._poll(path.rpartition("/")[2])
            name = path.split("/")[3]
            return Reply(self.files[name]) if name in self.files else error(404, "no such file")

    def _keep(self, data: bytes) -> str:
        name = f"file-{len(self.files)}"
        self.files[name] = data
        return name

    def _create(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = f"batch-{len(self.batches)}"
        state = {"id": name, "object": "batch", "status": "validating", "created_at": time.time() + 1e6, "polls": 0}
        self.batches[name] = asked | state
        return self.batches[name]

    def _poll(self, name: str) -> Reply:
        if name not in self.batches:
            return error(404, "no such batch")
        batch = self.batches[name]
        batch["polls"] += 1
        if batch["polls"] < self.polls or batch["status"] == self.status:
            return _json(batch | {"request_counts": {"total": 1, "completed": 0, "failed": 0}})
        if self.status == "failed":
            batch["errors"] = {"data": [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}]}
        else:
            self._answer(batch)
        batch["status"] = self.status
        return _json(batch)

    def _answer(self, batch: dict[str, Any]) -> None:
        good, bad = [], []
        for text in self.files[batch["input_file_id"]].splitlines():
            request = json.loads(text)
            assert (request["method"], request["url"]) == ("POST", batch["endpoint"])
            prompt = request["body"]["messages"][-1]["content"]
            self.asked[prompt] = self.asked.get(prompt, 0) + 1
            line = {"id": "l", "custom_id": request["custom_id"], **self.line(prompt, self.asked[prompt])}
            right = line["response"] and line["response"]["status_code"] == 200
            (good if right else bad).append(json.dumps(line))
        good.reverse()  # the order of answers is no order of requests
        batch["output_file_id"] = self._keep("\n".join(good).encode()) if good else None
        batch["error_file_id"] = self._keep("\n".join(bad).encode()) if bad else None
        if self.status == "completed":
            batch["request_counts"] = {"total": len(good) + len(bad), "completed": len(good), "failed": len(bad)}


def _json(value: dict[str, Any]) -> Reply:
    return Reply(json.dumps(value).encode())


def _uploaded(body: bytes, kind: str) -> bytes:
    form: Any = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    parts: dict[str, bytes] = {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
        for part in form.get_payload()
    }
    assert parts["purpose"] == b"batch"
    return parts["file"]


@contextmanager
def providing(provider: BatchProvider) -> Iterator[BatchProvider]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) if self.command == "POST" else b""
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = self.chunks()
            provider.headers.append({name.lower(): value for name, value in self.headers.items()})
            other = provider.override(self.command, self.path)
            reply = provider.handle(self.command, self.path, body, self.headers.get("Content-Type", ""))
            if other is None:
                self.close_connection = True
                return
            reply = other if isinstance(other, Reply) else reply
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = answer  # noqa: N815 - the base class names them so

        def chunks(self) -> bytes:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    provider.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
