"""Whether the budget covers what the run is forecast to cost."""

from cortex.errors import CortexError
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground

NAME = "budget"


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

        policy = "spot only" if offers[0].spot else "on-demand"
        # Only one kind is rented: the other's price plays no part in this policy.
        price = offers[0].dollars_per_hour
        dollars = forecast(ground.profile, offers, spot=price, on_demand=price, replays=200)[policy].dollars
    except CortexError as error:
        return Finding(NAME, None, f"not checked: {error}")
    return judged(budget, dollars.p50, dollars.p90)


def judged(budget: float, p50: float, p90: float) -> Finding:
    """A budget that half of all such runs would break is a failure; one that a tenth would break is a warning."""
    detail = f"the budget is ${budget:,.0f}; half of such runs cost at most ${p50:,.0f}, nine tenths ${p90:,.0f}"
    if budget < p50:
        fix = f"set budget.dollars to {p90:.0f}, or shorten the training (`cortex forecast` shows what it takes)"
        return Finding(NAME, False, detail, fix)
    return Finding(
        NAME, True, detail, f"a budget.dollars of {p90:.0f} would seldom end a run" if budget < p90 else None
    )
