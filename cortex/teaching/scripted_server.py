"""A teacher that needs no account: it serves the OpenAI chat protocol on loopback and answers by rule.

Its answers come from the domain's `script`, and depend on the prompt and the seed alone.
"""

import argparse
import hashlib
import json
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cortex.domains.domain import Domain
from cortex.domains.question import Message, Question
from cortex.domains.registry import read_domain
from cortex.teaching.tool_results import receive_results

MODEL = "scripted-teacher"


class _Handler(BaseHTTPRequestHandler):
    """The two routes of the protocol that a client of a teacher uses."""

    protocol_version = "HTTP/1.1"
    domain: Domain
    seed = 0

    def do_GET(self) -> None:
        self._reply(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.rstrip("/") != "/v1/chat/completions":
            self._reply(404, {"error": {"message": f"no route {self.path}"}})
            return
        try:
            request = json.loads(body)
            messages = tuple(Message(turn["role"], str(turn["content"])) for turn in request["messages"])
            prompt = messages[-1].content
        except (ValueError, KeyError, IndexError, TypeError):
            self._reply(400, {"error": {"message": "the body needs `messages`, each with `role` and `content`"}})
            return
        text = self.domain.script(Question("", receive_results(messages)), self.seed)
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(text.split())}
        self._reply(
            200,
            {
                "id": "chatcmpl-" + hashlib.sha256(body).hexdigest()[:24],
                "object": "chat.completion",
                "created": 0,
                "model": MODEL,
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
                "usage": usage | {"total_tokens": sum(usage.values())},
            },
        )

    def _reply(self, status: int, body: dict[str, object]) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Log nothing: the client logs its requests."""


class Server(ThreadingHTTPServer):
    """The teacher on one port of the loopback interface; port 0 takes a free one."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, domain: Domain, port: int = 0, seed: int = 0) -> None:
        super().__init__(("127.0.0.1", port), type("Handler", (_Handler,), {"domain": domain, "seed": seed}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domain", required=True, help="a profile's section, as JSON")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        server = Server(read_domain(json.loads(args.domain)), args.port, args.seed)
    except OSError as error:
        sys.exit(f"port {args.port}: {error.strerror}")
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(server.url, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
