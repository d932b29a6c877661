"""Long cases, some of which each run of the tests draws."""

import os
import random
from collections.abc import Sequence
from typing import TypeVar

Case = TypeVar("Case")


def draw_cases(cases: Sequence[Case], count: int) -> list[Case]:
    """Some of the cases, in their order, by the seed that `scripts/check.py` prints, CORTEX_DRAW (0 without it).

    All of them where CORTEX_FULL is set. The seed comes from outside, so that tests on several processes draw alike.
    """
    if os.environ.get("CORTEX_FULL"):
        return list(cases)
    taken = random.Random(int(os.environ.get("CORTEX_DRAW", "0"))).sample(range(len(cases)), count)
    return [cases[number] for number in sorted(taken)]
