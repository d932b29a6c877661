"""Runs a check over generated examples until its time, or its count of examples, is used up."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

SECONDS = 30.0
"""Seconds of all fuzz tests together, except modules with a time of their own: long enough for thousands of
examples, short enough for every `make test`."""

FULL_EXAMPLES = 20_000
"""Examples of a module's tests where CORTEX_FULL is set, however long they take."""

_BATCH = 100
"""Examples between two looks at the clock: hypothesis counts examples, and knows no limit on time."""

Example = TypeVar("Example")


@dataclass
class Fuzz:
    """One test's share of the fuzzing. Called with a strategy and a check, it fails on the smallest failing example."""

    first_seed: int
    seconds: float
    """This test's share of `SECONDS`."""
    full: int = FULL_EXAMPLES
    """This test's share of `FULL_EXAMPLES`."""
    examples: int = 0
    """Number of examples run so far."""

    def __call__(self, strategy: SearchStrategy[Example], check: Callable[[Example], None], *, cost: int = 1) -> None:
        """Run the check. An example that takes long counts as `cost` others, in a batch and in the full count."""
        end = time.monotonic() + self.seconds
        batch = 0

        def count(example: Example) -> None:
            self.examples += 1
            check(example)

        # Without an example database the seed alone decides what is run. An input may be large, and slow to make.
        slow = (HealthCheck.too_slow, HealthCheck.data_too_large)
        options = settings(max_examples=_BATCH // cost, database=None, deadline=None, suppress_health_check=slow)
        while self.examples * cost < self.full if os.environ.get("CORTEX_FULL") else time.monotonic() < end:
            seed(self.first_seed + batch)(options(given(strategy)(count)))()
            batch += 1
