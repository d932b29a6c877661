"""The account of positions: what they earn after costs.

Outcomes over h > 1 dates overlap: h bets are open at any time. So the capital lies in h equal parts, and the bets of
date d take part d mod h, which is free again by then (Jegadeesh and Titman 1993, "Returns to buying winners and selling
losers", hold overlapping portfolios in this way). No part holds two bets at a time, and each compounds on its own.
"""

from dataclasses import dataclass

import numpy as np

from cortex.evaluation.grades import Floats


@dataclass(frozen=True, eq=False)
class Account:
    """The bets of K contenders on D dates, each as a fraction of the capital of its part."""

    net: Floats
    """Return of each date's bets over the horizon, after costs (K x D)."""
    traded: Floats
    """Amount bought and sold (K x D)."""
    paid: Floats
    """Costs (K x D)."""


def keep_account(targets: Floats, returns: Floats, *, span: int, cost: float, cash: float) -> Account:
    """The account of holding `targets`, shares of the capital (K x D x A), over `returns` (D x A).

    At each date the part's positions, which drifted with their returns, are traded to the targets; the costs are paid
    from the capital of the part. What is not invested earns the return `cash` over a horizon; a short position ties as
    much capital as a long one. After a part's last bets everything is sold. A part that lost everything stays at 0.

    Args:
        span: Number of parts.
        cost: Cost of a trade, as a fraction of its amount.
        cash: Return of cash over one horizon.
    """
    contenders, dates, assets = targets.shape
    held = np.zeros((span, contenders, assets))
    net, traded, paid = (np.zeros((contenders, dates)) for _ in range(3))
    for date in range(dates):
        part, wanted = date % span, targets[:, date]
        amount = np.abs(wanted - held[part]).sum(axis=1)
        before = 1 - np.minimum(cost * amount, 1.0)
        invested = np.abs(wanted).sum(axis=1)
        growth = np.maximum(1 + wanted @ returns[date] + np.maximum(1 - invested, 0.0) * cash, 0.0)
        after = wanted * (1 + returns[date]) / np.where(growth > 0, growth, np.inf)[:, np.newaxis]
        value = before * growth
        if date >= dates - span:
            closing = np.abs(after).sum(axis=1)
            fee = np.minimum(cost * closing, 1.0)
            paid[:, date] = value * fee
            traded[:, date] = value * closing
            value = value * (1 - fee)
        traded[:, date] += amount
        paid[:, date] += 1 - before
        net[:, date] = value - 1
        held[part] = after
    return Account(net, traded, paid)
