"""Streams of training text: sources mixed by weight, packed into sequences of one length, resumable anywhere.

Nothing here reads files or the hub: a source is an iterator of rows that can say where it is. All order follows from
the seed, and the state of a stream is small, so that a resumed training goes on with the very next sequence.
"""

import copy
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cortex.errors import DataError

Encode = Callable[[Sequence[str]], list[list[int]]]
"""The tokens of texts, each with its end-of-text token."""

State = dict[str, Any]
"""JSON values."""


class Rows(Protocol):
    """One reading of a source from its first row, or from a state: texts, or None for rows that a filter leaves out."""

    def __iter__(self) -> Iterator[str | None]: ...

    def state_dict(self) -> State:
        """The state after the row that was read last."""
        ...


Reader = Callable[[State | None], Rows]
"""Begins a reading, at a state of `Rows.state_dict`, or at the first row."""


@dataclass(frozen=True)
class Source:
    """A source of a phase."""

    name: str
    weight: float
    epochs: int
    read: Reader
    encode: Encode


class StreamEndedError(DataError):
    """A source ended before its phase's budget of tokens was reached."""


class Window:
    """A source's documents as tokens, in windows of rows that are shuffled; it begins anew until its epochs are over.

    The state names the place where the current window begins, and the documents taken from it: so a resumed stream
    reads one window again, and whatever `datasets` reads to come to its place.
    """

    def __init__(self, source: Source, rows: int, seed: str) -> None:
        self.source = source
        self._rows, self._seed = rows, seed
        self._epoch = self._number = self._taken = 0
        self._start: State | None = None
        self._reading: Iterator[str | None] | None = None
        self._open: Rows | None = None
        self._documents: list[list[int]] = []

    def next(self) -> list[int] | None:
        """The next document; None when all epochs are over."""
        while self._taken >= len(self._documents):
            if self._epoch >= self.source.epochs or not self._advance():
                return None
        self._taken += 1
        return self._documents[self._taken - 1]

    def state(self) -> State:
        return {"epoch": self._epoch, "window": self._number, "start": self._start, "taken": self._taken}

    def load(self, state: State) -> None:
        """Go to a state. The window is read again when the next document is asked for."""
        self._epoch, self._number, self._start = state["epoch"], state["window"], state["start"]
        self._taken, self._documents, self._open, self._reading = 0, [], None, None
        if self._epoch < self.source.epochs and state["taken"]:
            self._fill()
        self._taken = state["taken"]

    @property
    def epoch(self) -> int:
        """Readings of the source that are over."""
        return self._epoch

    def _advance(self) -> bool:
        """Go to the next window, or the next epoch; False where the source has no documents at all."""
        if self._open is not None:
            self._start, self._number = self._open.state_dict(), self._number + 1
        self._taken = 0
        read = self._fill()
        if not read:
            # An epoch without a document would begin again for ever.
            empty = self._number == 0
            self._epoch, self._number, self._start, self._open, self._reading = self._epoch + 1, 0, None, None, None
            return not empty
        return True

    def _fill(self) -> int:
        """Read a window from the current place; the number of its rows."""
        if self._open is None:
            self._open = self.source.read(copy.deepcopy(self._start))
            self._reading = iter(self._open)
        assert self._reading is not None
        texts: list[str] = []
        read = 0
        for text in self._reading:
            read += 1
            if text:
                texts.append(text)
            if read == self._rows:
                break
        random.Random(f"{self._seed}/{self._epoch}/{self._number}").shuffle(texts)
        self._documents = self.source.encode(texts) if texts else []
        return read


class Mixture:
    """Sequences of one phase: documents of several sources, joined and cut.

    The next document comes from the source that is furthest behind its share of the tokens so far. So every stretch of
    the stream is mixed by the weights, whatever the documents' lengths, without a random draw.
    """

    def __init__(self, phase: str, sources: Sequence[Source], length: int, *, rows: int, seed: int) -> None:
        self.phase, self._length = phase, length
        self._windows = [Window(source, rows, f"{seed}/{phase}/{number}") for number, source in enumerate(sources)]
        self.tokens = [0] * len(sources)
        """Tokens read from each source so far."""
        self._rest: list[int] = []

    def next(self, needed: int) -> list[int]:
        """The next sequence; `needed` are the tokens that the phase still needs, this sequence included.

        Raises:
            StreamEndedError: a source is over.
        """
        while len(self._rest) < self._length:
            shares = [read / window.source.weight for read, window in zip(self.tokens, self._windows, strict=True)]
            chosen = shares.index(min(shares))
            document = self._windows[chosen].next()
            if document is None:
                raise StreamEndedError(self._ended(chosen, needed))
            self.tokens[chosen] += len(document)
            self._rest += document
        sequence, self._rest = self._rest[: self._length], self._rest[self._length :]
        return sequence

    def state(self) -> State:
        return {
            "tokens": list(self.tokens),
            "rest": list(self._rest),
            "sources": [window.state() for window in self._windows],
        }

    def load(self, state: State) -> None:
        self.tokens, self._rest = list(state["tokens"]), list(state["rest"])
        for window, one in zip(self._windows, state["sources"], strict=True):
            window.load(one)

    def account(self) -> list[Mapping[str, Any]]:
        """Tokens and whole epochs of each source."""
        return [
            {"source": window.source.name, "tokens": read, "epochs": window.epoch}
            for read, window in zip(self.tokens, self._windows, strict=True)
        ]

    def _ended(self, chosen: int, needed: int) -> str:
        source, read = self._windows[chosen].source, self.tokens[chosen]
        share = source.weight / sum(window.source.weight for window in self._windows)
        wanted = round((sum(self.tokens) - len(self._rest) + needed) * share)
        if not read:
            return (
                f"phase {self.phase}: {source.name} holds no text that passes its filter: correct `least`, or remove it"
            )
        times = f"{source.epochs} epochs" if source.epochs > 1 else "its one epoch"
        enough = -(-wanted * source.epochs // read)
        return (
            f"phase {self.phase}: {source.name} ended after {read} tokens in {times}, and its weight asks for {wanted} "
            f"in this phase: set its epochs to {enough}, or lower its weight or the phase's tokens"
        )
