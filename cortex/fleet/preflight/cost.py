"""Whether the budget covers what the run is estimated to cost."""

from cortex.errors import CortexError
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground

NAME = "budget"


def check(ground: Ground) -> Finding:
    """Compare the profile's budget with the prices that its machines may have."""
    budget = ground.profile.budget.dollars
    if not ground.documents:
        return Finding(NAME, None, "not checked: no pipeline was given")
    try:
        prices = [offer.dollars_per_hour for _, found in ground.offers for offer in found]
    except CortexError as error:
        return Finding(NAME, None, f"not checked: {error}")
    if not budget:
        detail = f"the profile sets no budget, and machines cost up to ${max(prices):.2f}/h: nothing would end the run"
        return Finding(NAME, True, detail, "set budget.dollars in the profile")
    return Finding(
        NAME, None, f"not checked: machines cost ${min(prices):.2f} to ${max(prices):.2f}/h, for unknown hours"
    )
