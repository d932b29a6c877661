"""A teacher that needs no account: it serves the OpenAI chat protocol on loopback and reasons by rule from the prompt.

It is a stand-in with the faults of a real one. It understands `flow`. It is all but blind to `whales`: it suspects
that they matter, hardly knows which way, often calls them unclear, and where it guesses it is wrong one time in three.
It is unsure of its numbers, now and then reads `flow` the wrong way round, and a few of its answers break the protocol
or cite what the prompt does not say. What it answers depends on the prompt and its seed alone.
"""

import argparse
import hashlib
import json
import math
import random
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cortex.reasoning.grounding import readings
from cortex.reasoning.protocol import Answer, render_answer

MODEL = "scripted-teacher"

UNDERSTOOD = {"flow": -1.2}
"""Log-odds of a rise per standard deviation, for the readings that it understands."""
GUESSED = {"whales": 0.5}
"""The same for those of which it can only guess the sign; timid: a wrong guess costs more than a right one earns."""
FAINT = {"mom7": 0.05, "draw": -0.05}
"""Log-odds where neither reading is given: next to nothing."""

GUESSES = 0.55
"""Share of the answers in which it guesses rather than calling a reading unclear."""
GUESSED_RIGHT = 0.65
"""Share of its guesses that are right."""
CONTRARY = 0.03
"""Share of the answers that read what it understands the wrong way round."""
UNSURE = 0.15
"""Standard deviation of the noise in its log-odds."""
BROKEN = 0.02
"""Share of the answers that break the protocol."""
UNGROUNDED = 0.03
"""Share of the answers that cite a number which the prompt does not hold."""


def answer(prompt: str, seed: int = 0) -> str:
    """The teacher's text for one prompt."""
    rng = random.Random(hashlib.sha256(f"{seed}\n{prompt}".encode()).digest())
    known = readings(prompt)
    contrary = -1.0 if rng.random() < CONTRARY else 1.0
    guess = 0.0 if rng.random() >= GUESSES else 1.0 if rng.random() < GUESSED_RIGHT else -1.0
    pulls = {name: contrary * weight * _cut(known[name]) for name, weight in UNDERSTOOD.items() if name in known}
    pulls |= {name: guess * weight * _cut(known[name]) for name, weight in GUESSED.items() if name in known}
    if not pulls:
        pulls = {name: weight * _cut(known[name]) for name, weight in FAINT.items() if name in known}
    log_odds = sum(pulls.values()) + rng.gauss(0, UNSURE)
    p_up = round(min(9, int(10 / (1 + math.exp(-log_odds)))) / 10 + 0.05, 2)

    cited = {name: known[name] for name in pulls}
    if cited and rng.random() < UNGROUNDED:
        cited[next(iter(cited))] += 1
    reasoning = " ".join(f"{name}:{_signed(value)} {_verdict(pulls[name])}" for name, value in cited.items())
    text = render_answer(_forecast(reasoning, p_up, known.get("range", 2.0)))
    return text.removesuffix("</answer>") if rng.random() < BROKEN else text


def _forecast(reasoning: str, p_up: float, size_pct: float) -> Answer:
    """The numbers that follow from a probability and the size of the asset's usual moves, in percent."""
    mean = _grid((2 * p_up - 1) * size_pct)
    reach = max(0.5, _grid(1.75 * size_pct))
    return Answer(
        reasoning or "nothing to go by", p_up, "up" if p_up >= 0.5 else "down", mean, mean - reach, mean + reach
    )


def _cut(value: float) -> float:
    return max(-2.0, min(2.0, value))


def _verdict(pull: float) -> str:
    return "up" if pull > 0 else "down" if pull < 0 else "unclear"


def _signed(value: float) -> str:
    return f"{value:+g}" if value > 0 else f"{value:g}"


def _grid(value: float) -> float:
    """Half percents below four, whole ones above: few enough numbers for a small model to learn."""
    return round(value) if abs(value) >= 4 else round(2 * value) / 2


class _Handler(BaseHTTPRequestHandler):
    """The two routes of the protocol that a client of a teacher uses."""

    protocol_version = "HTTP/1.1"
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
            prompt = str(request["messages"][-1]["content"])
        except (ValueError, KeyError, IndexError, TypeError):
            self._reply(400, {"error": {"message": "the body needs `messages`, each with `content`"}})
            return
        text = answer(prompt, self.seed)
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
        """Requests are the client's to log."""


class Server(ThreadingHTTPServer):
    """The teacher on one port of the loopback interface; port 0 takes a free one."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int = 0, seed: int = 0) -> None:
        super().__init__(("127.0.0.1", port), type("Handler", (_Handler,), {"seed": seed}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        server = Server(args.port, args.seed)
    except OSError as error:
        sys.exit(f"port {args.port}: {error.strerror}")
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(server.url, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
