"""Lease, publication, ledger, meter and receipt, as the real code does them, over a simulated bucket: schedules of two
and three programs with conflicts, lost answers, late writes, stale listings and kills between any two requests.

A seed determines a schedule completely. hypothesis's state machines would shrink one, by taking out steps; but
here a step is a request of the real code, which depends on all before it, so a schedule with fewer of them is another.
"""

from collections.abc import Generator

import pytest
from hypothesis import strategies as st

from tests.fuzz.runner import Fuzz
from tests.protocol.one_at_a_time import one_at_a_time
from tests.protocol.publishing import play_publishing
from tests.protocol.receipts import play_receipts
from tests.protocol.scenario import Play, play
from tests.protocol.spending import play_spending


@pytest.fixture(autouse=True)
def hasty() -> Generator[None]:
    with one_at_a_time():
        yield


FUZZ_SECONDS = 20.0
"""Seconds besides those of the other fuzz tests: over a thousand schedules."""

SCENARIOS: tuple[Play, ...] = (play_publishing, play_spending, play_receipts)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__.removeprefix("play_"))
def test_no_schedule_breaks_a_promise(scenario: Play, fuzz: Fuzz) -> None:
    fuzz(st.integers(0, 2**32), lambda seed: play(scenario, seed))
