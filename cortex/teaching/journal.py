"""A teacher's answers so far, as JSON lines: a killed stage resumes from them, and no answer is paid for twice.

An unreadable line, whether torn by a kill or damaged later, costs only its own example, which is asked again.
"""

import hashlib
import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Any

from loguru import logger

from cortex.domains.question import Conversation, Message
from cortex.teaching.completion import Completion, Kind, replace_surrogates
from cortex.teaching.purse import Bill
from cortex.teaching.usage import Usage

LINE_BYTES = 64 * 1024 * 1024
"""Maximum bytes of a line. The longest reply, escaped, takes a quarter of it."""

LONG = 500
"""Most characters of a system message that a line holds in full."""

_KINDS: dict[str, Kind] = {
    "answered": "answered",
    "truncated": "truncated",
    "refused": "refused",
    "odd": "odd",
    "failing": "failing",
}
"""The kinds that settle a prompt and are stored; after the others it is asked again, or the stage stops."""

_BILL = "bill"
"""Kind of a line about a reply that settles nothing, and has its price all the same."""


class Journal:
    """A journal that is open for additions. When `add` returns, the line is with the operating system."""

    def __init__(
        self,
        path: Path,
        file: IO[bytes],
        settled: dict[str, Completion],
        bills: list[Bill],
        booked: set[tuple[str, str]],
    ) -> None:
        self.path, self._file = path, file
        self.settled = settled
        """Completion of each settled example."""
        self.booked = booked
        """Examples and batches of replies that settled nothing, and whose price is written down."""
        self.bills = bills
        """Bills of earlier attempts, of all examples that the file holds."""

    def add(self, example: str, prompt: Conversation, completion: Completion) -> None:
        """Write down the completion of an example.

        Raises:
            OSError: the disk is full, or broken.
        """
        row = {"example_id": example, "prompt": _written(prompt), "answer": completion.text}
        row |= {"kind": completion.kind, "reason": completion.reason, **_origin(completion)}
        self._write(row)
        self.settled[example] = completion

    def add_bill(self, example: str, completion: Completion) -> None:
        """Write down the price of a reply that does not settle its example.

        Raises:
            OSError: the disk is full, or broken.
        """
        row = {"example_id": example, "prompt": "", "answer": "", "kind": _BILL, "reason": completion.reason}
        self._write(row | _origin(completion))

    def _write(self, row: dict[str, Any]) -> None:
        self._file.write(json.dumps(row).encode() + b"\n")
        self._file.flush()


@contextmanager
def open_journal(path: Path, prompts: Mapping[str, Conversation]) -> Generator[Journal]:
    """Open a journal, with the completions that earlier attempts stored for the same prompts.

    Raises:
        OSError: the file cannot be read or written.
    """
    asked = {example: _written(prompt) for example, prompt in prompts.items()}
    settled: dict[str, Completion] = {}
    bills: list[Bill] = []
    booked: set[tuple[str, str]] = set()
    damaged = 0
    with path.open("a+b") as file:
        file.seek(0)
        while line := file.readline(LINE_BYTES):
            row = _read_row(line)
            while not line.endswith(b"\n") and (line := file.readline(LINE_BYTES)):
                row = None  # it is too long to be a line of a journal, and is skipped to its end
            if row is None:
                damaged += 1
                continue
            if row[2].provider and not row[2].recalled:
                booked |= {(row[0], row[2].batch)} if row[2].batch else set()
                bills.append(Bill(row[2].provider, row[2].usage or Usage(), row[2].dollars))
            if asked.get(row[0]) == row[1]:  # an example whose prompt has changed is another question
                settled[row[0]] = row[2]
        if damaged:
            logger.warning(f"{path}: {damaged} lines cannot be read; their examples are asked again")
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        yield Journal(path, file, settled, bills, booked)


def _written(prompt: Conversation) -> str:
    """A conversation as a line stores it: a single question as its text alone, a long system message as its hash, since
    all lines have the same."""
    if len(prompt) == 1 and prompt[0].role == "user":
        return prompt[0].content
    return json.dumps([_shortened(message) for message in prompt])


def _shortened(message: Message) -> Message:
    if message.role != "system" or len(message.content) <= LONG:
        return message
    return Message("system", f"sha256 {hashlib.sha256(message.content.encode()).hexdigest()}")


def _read_row(line: bytes) -> tuple[str, str, Completion] | None:
    """The example, the prompt and its completion; None for a line that is incomplete or damaged."""
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    # Before there were kinds, every line held an answer.
    texts = [row.get("example_id"), row.get("prompt"), row.get("answer"), row.get("kind", "answered")]
    texts.append(row.get("reason", ""))
    if not all(isinstance(text, str) for text in texts):
        return None
    example, prompt, answer, kind, reason = texts
    if kind not in _KINDS and kind != _BILL:
        return None
    # A bill's prompt is that of no example.
    completion = Completion(_KINDS.get(kind, "odd"), replace_surrogates(answer), reason)
    completion = _read_origin(completion, row)
    return completion and (example, prompt, completion)


def _origin(completion: Completion) -> dict[str, Any]:
    """The columns about the provider of a completion; none where the endpoint has no name."""
    if not completion.provider:
        return {}
    usage = completion.usage or Usage()
    return {
        "provider": completion.provider,
        "model": completion.model,
        "usage": [usage.input, usage.output, usage.cached],
        "dollars": str(completion.dollars),
        "recalled": completion.recalled,
        **({"batch": completion.batch} if completion.batch else {}),
    }


def _read_origin(completion: Completion, row: dict[str, Any]) -> Completion | None:
    """The completion with the columns about its provider; None where they are damaged."""
    if "provider" not in row:
        return completion
    try:
        given, made, cached = (int(count) for count in row["usage"])
        dollars = Decimal(row["dollars"])
    except (KeyError, TypeError, ValueError, InvalidOperation):
        return None
    if min(given, made, cached) < 0 or not dollars.is_finite():
        return None
    return replace(
        completion,
        provider=str(row["provider"]),
        model=str(row.get("model", "")),
        usage=Usage(given, made, cached),
        dollars=dollars,
        recalled=row.get("recalled") is True,
        batch=str(row.get("batch", "")),
    )
