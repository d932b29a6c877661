"""The `fuzz` fixture, and its output: the seed before the first example, the count after the last."""

import os
import random
from collections.abc import Generator

import pytest

from .runner import FULL_EXAMPLES, SECONDS, Fuzz


@pytest.fixture(scope="session")
def first_seed() -> int:
    """A new seed each time, so that repeated runs see new examples. CORTEX_FUZZ_SEED repeats a run."""
    return int(os.environ.get("CORTEX_FUZZ_SEED") or random.SystemRandom().randrange(10**9))


@pytest.fixture
def fuzz(
    request: pytest.FixtureRequest, first_seed: int, capsys: pytest.CaptureFixture[str]
) -> Generator[Fuzz, None, None]:
    """A `Fuzz` with an equal share of the time, or of its module's examples, for each test that asks for one.

    A module's `FUZZ_SECONDS` are its own; all others share `SECONDS`.
    """
    asking = [item for item in request.session.items if "fuzz" in getattr(item, "fixturenames", ())]
    subject = sum(item.path == request.node.path for item in asking)
    own: float | None = getattr(request.module, "FUZZ_SECONDS", None)
    sharing = sum(not hasattr(getattr(item, "module", None), "FUZZ_SECONDS") for item in asking)
    runner = Fuzz(first_seed, own / subject if own else SECONDS / sharing, FULL_EXAMPLES // subject)
    # It is printed at once, not at the end: an example may take the whole process down.
    with capsys.disabled():
        print(f"\n{request.node.name}: CORTEX_FUZZ_SEED={first_seed}", flush=True)
    yield runner
    with capsys.disabled():
        print(f"\n{request.node.name}: {runner.examples:,} examples", flush=True)
