"""Answers of earlier runs on this machine, by the hash of what was asked: a second run pays for none of them."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from loguru import logger

from cortex.domains.question import Conversation
from cortex.teaching.chat import Endpoint
from cortex.teaching.completion import Completion
from cortex.teaching.usage import Usage

TOGETHER = 64
"""Answers that are written in one transaction: each alone would cost as much time as its request."""
_WAIT_SECONDS = 30.0
"""Seconds to wait for another program that writes; one write takes a millisecond."""


class AnswerCache:
    """A file of answers, which several programs may use at one time.

    Without a file that can be used, a run goes on and says so. Some answers are held back until `flush`: a program that
    is killed has them in its journal, and puts them here again when it continues.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: sqlite3.Connection | None = None
        self._held: dict[str, str] = {}
        try:
            self._file = _open(path)
        except sqlite3.DatabaseError as error:
            self._set_aside(error)

    def get(self, key: str) -> Completion | None:
        """The answer under a key; None if there is none that can be read."""
        if key in self._held:
            return _read(self._held[key])
        if self._file is None:
            return None
        try:
            row = self._file.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        return _read(row[0]) if row else None

    def put(self, key: str, completion: Completion) -> None:
        usage = completion.usage
        row = {"kind": completion.kind, "text": completion.text, "reason": completion.reason, "model": completion.model}
        row |= {"usage": [usage.input, usage.output, usage.cached] if usage else None}
        self._held[key] = json.dumps(row)
        if len(self._held) >= TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write the answers that are held back."""
        held, self._held = list(self._held.items()), {}
        if held:
            self._write("INSERT OR REPLACE INTO answers VALUES (?, ?)", held)

    def forget(self, keys: Iterable[str]) -> None:
        """Remove answers that turned out to be of no use."""
        self.flush()
        self._write("DELETE FROM answers WHERE key = ?", [(key,) for key in keys])

    def close(self) -> None:
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, statement: str, rows: Sequence[tuple[str, ...]]) -> None:
        if self._file is None:
            return
        try:
            with self._file:
                self._file.executemany(statement, rows)
        except sqlite3.Error as error:
            self._give_up(error)

    def _set_aside(self, error: sqlite3.Error) -> None:
        """Begin a new file in place of one that is damaged."""
        if isinstance(error, sqlite3.OperationalError):  # no damage: no rights, no space, no folder
            self._give_up(error)
            return
        aside = self._path.with_suffix(".damaged")
        logger.warning(f"{self._path} is damaged ({error}): it is now {aside}, and answers are cached anew")
        self._path.replace(aside)
        self._file = _open(self._path)

    def _give_up(self, error: sqlite3.Error) -> None:
        logger.warning(f"{self._path} cannot be used ({error}): answers of this run are not cached")
        if self._file is not None:
            self._file.close()
            self._file = None


def cache_key(endpoint: Endpoint, prompt: Conversation, seed: int | None) -> str:
    """The hash of everything in a request that an answer depends on."""
    asked = [endpoint.url, endpoint.model, endpoint.temperature, endpoint.top_p, endpoint.max_tokens, seed, prompt]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = sqlite3.connect(path, timeout=_WAIT_SECONDS)
    # Readers and a writer do not wait for one another; a kill of the program loses no answer that `put` has returned.
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("PRAGMA synchronous = NORMAL")
    file.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL)")
    return file


def _read(text: str) -> Completion | None:
    try:
        row: Any = json.loads(text)
        kind, usage = row["kind"], row["usage"]
        if kind not in ("answered", "truncated"):
            return None
        counted = Usage(*map(int, usage)) if usage else None
        return Completion(kind, str(row["text"]), str(row["reason"]), model=str(row["model"]), usage=counted)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
