"""Labels from two faulty providers: time compared with the ideal, answers asked twice or lost over kills, dollars.

The ideal is latency x count / concurrency of the preferred provider. Run it on a quiet machine:

    python scripts/bench/teacher.py --count 4000 --kills 20
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from cortex.domains.question import Message
from cortex.teaching.chat import Endpoint
from cortex.teaching.purse import Purse
from cortex.teaching.teacher import ask
from cortex.teaching.usage import Price, Usage

PRICES = {"first": Price(Decimal("0.27"), Decimal("1.10")), "second": Price(Decimal("2.5"), Decimal("10"))}
"""Dollars per million tokens."""


@dataclass(frozen=True)
class Figures:
    """Outcome and cost of a session with its restarts."""

    seconds: float
    answered: int
    lost: int
    again: int
    """Answers that a provider gave for a prompt that it had answered, or the other had."""
    counted: Decimal
    billed: Decimal


@contextmanager
def provider(log: Path, *options: str) -> Iterator[str]:
    """A faulty provider as a program of its own; gives its address."""
    command = [sys.executable, str(Path(__file__).with_name("faulty_provider.py")), "--log", str(log), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def label(urls: list[str], count: int, concurrency: int, kept: Path) -> Purse:
    """Ask for all prompts in this process; the purse holds what all attempts paid."""
    endpoints = [
        Endpoint(url, "none", f"model-{name}", concurrency, 0.7, 64, patience_seconds=30, name=name, price=PRICES[name])
        for url, name in zip(urls, PRICES, strict=True)
    ]
    prompts = {f"e{number}": (Message("user", f"What is {number}?"),) for number in range(count)}
    purse = Purse()
    ask(endpoints, prompts, kept, lambda done, total: None, purse=purse)
    return purse


def measure(folder: Path, count: int, concurrency: int, kills: int, latency: float, faults: float) -> Figures:
    """Label once, killed at random moments; read the providers' own logs."""
    kept, logs = folder / "answers.jsonl", [folder / f"{name}.jsonl" for name in PRICES]
    options = ["--latency", str(latency), "--faults", str(faults)]
    rng = random.Random(0)
    with ExitStack() as stack:
        first = stack.enter_context(provider(logs[0], *options, "--seed", "1"))
        second = stack.enter_context(provider(logs[1], *options, "--no-refusals", "--seed", "2"))
        urls = [first, second]
        for number in range(kills):
            reach = len(_lines(kept)) + rng.randint(1, max(1, (count - len(_lines(kept))) // (kills - number)))
            _label_until(urls, count, concurrency, kept, reach)
        began = time.monotonic()
        purse = label(urls, count, concurrency, kept)
        seconds = time.monotonic() - began
    rows = [json.loads(line) for line in _lines(kept)]
    settled = {row["example_id"]: row["kind"] for row in rows if row["kind"] != "bill"}
    answers = [json.loads(line) for log in logs for line in _lines(log)]
    given = Counter(line["prompt"] for line in answers if line["kind"] == "answer")
    billed = sum((_billed(log, PRICES[log.stem]) for log in logs), Decimal(0))
    answered = sum(kind == "answered" for kind in settled.values())
    return Figures(seconds, answered, count - answered, sum(given.values()) - len(given), purse.dollars, billed)


def _label_until(urls: list[str], count: int, concurrency: int, kept: Path, lines: int) -> None:
    """Label in another process, and kill it once the journal has this many lines."""
    command = [sys.executable, __file__, "--child", json.dumps([urls, count, concurrency, str(kept)])]
    with subprocess.Popen(command) as process:
        while len(_lines(kept)) < lines and process.poll() is None:
            time.sleep(0.002)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _billed(log: Path, price: Price) -> Decimal:
    return sum((price.dollars(Usage(*json.loads(line)["usage"])) for line in _lines(log)), Decimal(0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--faults", type=float, default=0.1)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        urls, count, concurrency, kept = json.loads(args.child)
        label(urls, count, concurrency, Path(kept))
        return
    shown: dict[str, Any] = {}
    ideal = args.latency * args.count / args.concurrency
    for kills in dict.fromkeys((0, args.kills)):
        with tempfile.TemporaryDirectory() as folder:
            found = measure(Path(folder), args.count, args.concurrency, kills, args.latency, args.faults)
        shown[f"{kills} kills"] = {
            **({"time / ideal": round(found.seconds / ideal, 3)} if not kills else {}),
            "answered / asked": round(found.answered / args.count, 6),
            "answered again / (kills x requests under way)": round(
                found.again / max(1, kills * 2 * args.concurrency), 3
            ),
            "counted / billed": float(found.counted / found.billed),
        }
    print(json.dumps(shown, indent=1))


if __name__ == "__main__":
    main()
