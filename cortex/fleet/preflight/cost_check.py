"""Check that the budget covers the run's estimated cost."""

from collections.abc import Sequence

from cortex.errors import CortexError
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.runs.price_list import Offer

NAME = "budget"

BOTH = "spot, then on-demand"
"""Name of the estimate's policy for a run that may get machines of both kinds."""


def check(ground: Ground) -> Finding:
    """Estimate the run's cost on its dearest task's machines, and compare it with the profile's budget."""
    budget = ground.profile.budget.dollars
    try:
        offers = max((found for _, found in ground.offers), key=lambda found: found[0].dollars_per_hour, default=())
        if not offers:
            return Finding(NAME, None, "not checked: no pipeline was given")
        if not budget:
            detail = f"no budget is set, and machines cost up to ${offers[-1].dollars_per_hour:.2f}/h"
            return Finding(NAME, True, detail, "set budget.dollars in the profile: the machines then stop there")
        from cortex.fleet.estimate.run_estimate import estimate_run
        from cortex.fleet.estimate.training_prices import own_gpu_offers

        # Other GPUs may be cheaper by the hour, but the profile's own is asked for first, and its hours are known.
        offers = own_gpu_offers(ground.profile, offers)
        policy = policy_for_offers(offers)
        # Where only one kind is rented, the policy does not use the other's price, but an estimate needs both.
        price = None if policy == BOTH else offers[0].dollars_per_hour
        dollars = estimate_run(ground.profile, offers, spot=price, on_demand=price, replays=200)[policy].dollars
    except CortexError as error:
        return Finding(NAME, None, f"not checked: {error}")
    return judged(budget, dollars.p50, dollars.p90)


def policy_for_offers(offers: Sequence[Offer]) -> str:
    """The name of the estimate's policy for a run that may get these machines."""
    kinds = {offer.spot for offer in offers}
    return BOTH if len(kinds) > 1 else "spot only" if kinds == {True} else "on-demand"


def judged(budget: float, p50: float, p90: float) -> Finding:
    """The finding on a budget: it fails below the median cost, and warns below the 90th percentile."""
    detail = f"the budget is ${budget:,.0f}; half of such runs cost at most ${p50:,.0f}, nine tenths ${p90:,.0f}"
    if budget < p50:
        fix = f"set budget.dollars to {p90:.0f}, or shorten the training (`cortex estimate` shows what it takes)"
        return Finding(NAME, False, detail, fix)
    return Finding(
        NAME, True, detail, f"a budget.dollars of {p90:.0f} would seldom end a run" if budget < p90 else None
    )
