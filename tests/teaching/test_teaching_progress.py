from collections.abc import Iterator
from decimal import Decimal

import pytest
from loguru import logger

from cortex.teaching.purse import Bill, Purse
from cortex.teaching.teaching_progress import EVERY_SECONDS, TeachingProgress
from cortex.teaching.usage import Usage


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="INFO")
    yield lines
    logger.remove(sink)


def test_progress_has_the_money_and_the_time_left(log: list[str]) -> None:
    now, purse = [0.0], Purse(dollars=Decimal(5))
    progress, values = TeachingProgress(purse, clock=lambda: now[0]), dict[str, float]()
    for done in range(101, 201):  # a hundred were settled by an earlier attempt
        now[0] += 1.0
        purse.pay(Bill("first", Usage(100, 50), Decimal("0.02")))
        values = progress.note(done, 400)
    assert values == {"dollars": pytest.approx(2.0), "seconds_left": pytest.approx(200)}
    assert len(log) == int(100 / EVERY_SECONDS)
    assert log[-1] == "teacher: 190 of 400 answers, $1.80 of $5.00, 13,500 tokens, 4 min left"
