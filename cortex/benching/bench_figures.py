"""The figures of one level of load: percentiles, throughput, faults, goodput and cost."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from cortex.benching.amounts_text import plain
from cortex.benching.load import Burst
from cortex.benching.request_record import RequestRecord
from cortex.benching.server_memory import Memory
from cortex.benching.slo import Objective

_NEEDED = {50: 1, 95: 20, 99: 100}
"""Fewest values of which a percentile is told: with fewer, it would be the largest of them."""


@dataclass(frozen=True)
class Spread:
    """Percentiles in seconds, interpolated between the two nearest values; None where there are too few."""

    count: int
    median: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        ordered = np.array(list(values))
        found = [float(np.percentile(ordered, at)) if len(ordered) >= least else None for at, least in _NEEDED.items()]
        return cls(len(ordered), *found)

    def to_json(self) -> dict[str, Any]:
        return {"count": self.count, "median": self.median, "p95": self.p95, "p99": self.p99}


@dataclass(frozen=True)
class Figures:
    """The figures of one endpoint at one level; seconds throughout."""

    requests: int
    faults: dict[str, tuple[int, str]]
    """Faults by their kind: how many, and the words of the first."""
    seconds: float
    ttft: Spread
    itl: Spread
    """Between two chunks of one answer."""
    per_token: Spread
    """Mean time of a token after the first, of each request."""
    e2e: Spread
    tokens_in: int | None
    tokens_out: int
    """Tokens of the answers that ended well."""
    chunks: int
    good: int | None
    """Requests within the objective; None without one."""
    memory: Memory
    client_share: float
    late: Spread
    """From the time at which a request was due until it was sent."""

    @property
    def succeeded(self) -> int:
        return self.requests - sum(count for count, _ in self.faults.values())

    @property
    def output_per_second(self) -> float:
        return self.tokens_out / self.seconds

    @property
    def total_per_second(self) -> float | None:
        return None if self.tokens_in is None else (self.tokens_in + self.tokens_out) / self.seconds

    @property
    def goodput(self) -> float | None:
        """Requests a second within the objective."""
        return None if self.good is None else self.good / self.seconds

    @property
    def good_share(self) -> float | None:
        return None if self.good is None else self.good / self.requests

    def to_json(self, price: Decimal | None) -> dict[str, Any]:
        """All figures, with costs at a machine's price for an hour."""
        return {
            "requests": self.requests,
            "succeeded": self.succeeded,
            "faults": {kind: {"count": count, "example": words} for kind, (count, words) in self.faults.items()},
            "seconds": self.seconds,
            **{name: getattr(self, name).to_json() for name in ("ttft", "itl", "per_token", "e2e", "late")},
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "chunks": self.chunks,
            "requests_per_second": self.succeeded / self.seconds,
            "output_tokens_per_second": self.output_per_second,
            "total_tokens_per_second": self.total_per_second,
            "goodput": self.goodput,
            "good_share": self.good_share,
            "memory": self.memory.to_json(),
            "client_share": self.client_share,
            "dollars_per_million_output": _text(per_million(price, self.output_per_second)),
            "dollars_per_million": _text(per_million(price, self.total_per_second)),
        }


def per_million(price: Decimal | None, tokens_per_second: float | None) -> Decimal | None:
    """Dollars for a million tokens on a machine at a price for an hour; None where one is unknown, or nothing came."""
    if price is None or not tokens_per_second:
        return None
    return price / (Decimal(tokens_per_second) * 3600) * 1_000_000


def compute_figures(bursts: Sequence[Burst], memory: Memory, objective: Objective | None) -> Figures:
    """The figures of all bursts of one endpoint at one level, taken together."""
    records = [record for burst in bursts for record in burst.records]
    well = [record for record in records if record.fault is None]
    counted = Counter(record.fault.kind for record in records if record.fault)
    words = {record.fault.kind: record.fault.detail for record in reversed(records) if record.fault}
    inputs = [record.tokens_in for record in well if record.tokens_in is not None]
    return Figures(
        requests=len(records),
        faults={kind: (count, words[kind]) for kind, count in counted.most_common()},
        seconds=sum(burst.seconds for burst in bursts),
        ttft=Spread.of(record.ttft for record in well),
        itl=Spread.of(gap for record in well for gap in record.gaps),
        per_token=Spread.of(value for record in well if (value := record.per_token) is not None),
        e2e=Spread.of(record.e2e for record in well),
        tokens_in=sum(inputs) if well and len(inputs) == len(well) else None,
        tokens_out=sum(record.output for record in well),
        chunks=sum(len(record.arrivals) for record in well),
        good=None if objective is None else sum(is_good(record, objective) for record in well),
        memory=memory,
        client_share=max(burst.client_share for burst in bursts),
        late=Spread.of(record.sent - record.due for record in records),
    )


def is_good(record: RequestRecord, objective: Objective) -> bool:
    """True for a request that ended well within every bound. An answer of one token has no time between tokens."""
    waits = ((record.ttft, objective.ttft), (record.per_token or 0.0, objective.itl), (record.e2e, objective.e2e))
    return record.fault is None and all(bound is None or wait <= bound for wait, bound in waits)


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)
