"""A local page for a review: one answer at a time, and two buttons. Only this machine can reach it."""

import json
import secrets
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cortex.teaching.review.decisions import CHOICES, Choice
from cortex.teaching.review.review_items import Item

PAGE = Path(__file__).with_name("review.html")
REQUEST_BYTES = 4096

OnChoice = Callable[[Item, Choice], None]

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'"
)


class ReviewServer(ThreadingHTTPServer):
    """The page on a port of the loopback interface. Its address holds a secret, without which nothing is answered."""

    daemon_threads = True

    def __init__(self, items: Sequence[Item], on_choice: OnChoice, port: int = 0) -> None:
        self.items = list(items)
        self.on_choice = on_choice
        self.secret = secrets.token_urlsafe(16)
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/{self.secret}/"


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer  # type: ignore[assignment]

    def do_GET(self) -> None:
        path = self._path()
        if path == "":
            self._reply(200, PAGE.read_bytes(), "text/html; charset=utf-8")
        elif path == "items":
            rows = [
                {"id": item.example_id, "turns": item.turns, "answer": item.answer, "reasons": item.reasons}
                for item in self.server.items
            ]
            self._reply(200, json.dumps(rows).encode())
        else:
            self._reply(404, b"{}")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self._path() != "decide" or not length.isdecimal() or int(length) > REQUEST_BYTES:
            self._reply(404, b"{}")
            return
        chosen = self._read_choice(self.rfile.read(int(length)))
        if chosen is None:
            self._reply(400, b"{}")
            return
        self.server.on_choice(*chosen)
        self._reply(200, b"{}")

    def _read_choice(self, data: bytes) -> tuple[Item, Choice] | None:
        """The item and the choice of a request; None if it has none."""
        try:
            body: Any = json.loads(data)
            place, choice = body["item"], body["choice"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        known = type(place) is int and 0 <= place < len(self.server.items) and choice in CHOICES
        return (self.server.items[place], choice) if known else None

    def _path(self) -> str | None:
        """The path below the secret; None for a request of anybody else.

        Another site's page may send requests here, by this address or by a name that it lets point here: it does not
        know the secret, and names another host.
        """
        _, secret, *rest = [*self.path.split("/", 2), ""]
        known = secrets.compare_digest(secret.encode(), self.server.secret.encode())
        return rest[0] if known and self.headers.get("Host") == self.server.host else None

    def _reply(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Log nothing."""
