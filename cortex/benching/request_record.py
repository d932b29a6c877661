"""The measured course of one request."""

from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(frozen=True)
class Fault:
    """A reason why a request did not end well."""

    kind: str
    """`http 429`, `timeout`, `unreachable`, `closed`, `cut`, `error`, `unreadable` or `empty`."""
    detail: str = ""
    """The server's own words, or the client's, in one line."""


@dataclass(frozen=True)
class RequestRecord:
    """Times of one request, in seconds of `time.perf_counter()`."""

    due: float
    """The time at which it was to be sent: of a free place at fixed concurrency, of its arrival at a fixed rate."""
    sent: float
    ended: float
    arrivals: tuple[float, ...] = ()
    """Times of the chunks that held text."""
    tokens_in: int | None = None
    tokens_out: int | None = None
    """Tokens as the server counts them; None where it does not say."""
    fault: Fault | None = field(default=None)

    @property
    def ttft(self) -> float:
        """Seconds from the time at which the request was due to the first text."""
        return self.arrivals[0] - self.due

    @property
    def e2e(self) -> float:
        """Seconds from the time at which the request was due to the last text."""
        return self.arrivals[-1] - self.due

    @property
    def gaps(self) -> list[float]:
        """Seconds between successive chunks."""
        return [after - before for before, after in pairwise(self.arrivals)]

    @property
    def output(self) -> int:
        """Tokens of the answer: by the server's count, or else its chunks."""
        return len(self.arrivals) if self.tokens_out is None else self.tokens_out

    @property
    def per_token(self) -> float | None:
        """Mean seconds between two tokens after the first; None for an answer of one token."""
        if self.output < 2 or len(self.arrivals) < 2:
            return None
        return (self.arrivals[-1] - self.arrivals[0]) / (self.output - 1)
