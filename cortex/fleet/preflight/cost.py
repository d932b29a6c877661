"""Whether the budget covers what the run is forecast to cost."""

from collections.abc import Sequence

from cortex.errors import CortexError
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.runs.prices import Offer

NAME = "budget"

BOTH = "spot, then on-demand"
"""The policy of a run that may be given machines of both kinds."""


def check(ground: Ground) -> Finding:
    """Forecast the run on the machines that most of its hours are spent on, and compare with the profile's budget."""
    budget = ground.profile.budget.dollars
    try:
        offers = max((found for _, found in ground.offers), key=lambda found: found[0].dollars_per_hour, default=())
        if not offers:
            return Finding(NAME, None, "not checked: no pipeline was given")
        if not budget:
            detail = f"no budget is set, and machines cost up to ${offers[-1].dollars_per_hour:.2f}/h"
            return Finding(NAME, True, detail, "set budget.dollars in the profile: the machines then stop there")
        from cortex.fleet.forecast.forecast import forecast
        from cortex.fleet.forecast.prices import of_its_own

        # Its kin may be cheaper by the hour, but the profile's own GPU is asked for first, and its hours are known.
        offers = of_its_own(ground.profile, offers)
        policy = rented_by(offers)
        # Where only one kind is rented, the other's price plays no part in the policy.
        price = None if policy == BOTH else offers[0].dollars_per_hour
        dollars = forecast(ground.profile, offers, spot=price, on_demand=price, replays=200)[policy].dollars
    except CortexError as error:
        return Finding(NAME, None, f"not checked: {error}")
    return judged(budget, dollars.p50, dollars.p90)


def rented_by(offers: Sequence[Offer]) -> str:
    """The name of the policy that a run goes by which may be given these machines."""
    kinds = {offer.spot for offer in offers}
    return BOTH if len(kinds) > 1 else "spot only" if kinds == {True} else "on-demand"


def judged(budget: float, p50: float, p90: float) -> Finding:
    """A budget that half of all such runs would break is a failure; one that a tenth would break is a warning."""
    detail = f"the budget is ${budget:,.0f}; half of such runs cost at most ${p50:,.0f}, nine tenths ${p90:,.0f}"
    if budget < p50:
        fix = f"set budget.dollars to {p90:.0f}, or shorten the training (`cortex forecast` shows what it takes)"
        return Finding(NAME, False, detail, fix)
    return Finding(
        NAME, True, detail, f"a budget.dollars of {p90:.0f} would seldom end a run" if budget < p90 else None
    )
