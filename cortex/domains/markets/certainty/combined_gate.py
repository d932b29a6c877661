"""The combined score: the share of the other gates that keep a forecast."""

from collections.abc import Sequence

import numpy as np

from cortex.domains.markets.certainty.certainty_gate import CannotTellError, Kept

HALF = 0.5


def combine(kept: Sequence[Kept]) -> Kept:
    """Keep where more than half of the gates do. They are not independent: this is a vote, and no product."""
    if len(kept) < 3:
        raise CannotTellError(f"{len(kept)} gates could decide, and 3 are needed for a vote")
    score = np.mean([gate.keep for gate in kept], axis=0)
    return Kept(score > HALF, f"vote of {len(kept)} gates")
