"""Check of a run's deadline: the run can end in time, and the cost of that compared with spot machines alone."""

from collections.abc import Sequence

from cortex.errors import CortexError, UsageError
from cortex.fleet.preflight.cost_check import BOTH
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.profiles.profile import Profile
from cortex.runs.price_list import Offer

NAME = "deadline"

LATE = 0.05
"""Share of late replays above which the check warns."""


def check(ground: Ground) -> Finding:
    """Replay the run with its deadline: on spot and on demand, as the run does it, and on spot machines alone."""
    if not ground.profile.budget.hours:
        return Finding(NAME, None, "none is set: the run takes as long as spot machines let it")
    offers = max((found for _, found in ground.offers), key=lambda found: found[0].dollars_per_hour, default=())
    if not offers:
        return Finding(NAME, None, "not checked: no pipeline was given")
    try:
        return _replayed(ground.profile, offers)
    except UsageError as error:
        fix = "set budget.hours to more, shorten the training, or add `estimates` to the profile"
        return Finding(NAME, False, str(error), fix)
    except CortexError as error:
        return Finding(NAME, None, f"not checked: {error}")


def _replayed(profile: Profile, offers: Sequence[Offer]) -> Finding:
    from cortex.fleet.estimate.run_estimate import estimate_run
    from cortex.fleet.estimate.training_prices import own_gpu_offers
    from cortex.fleet.estimate.work_estimate import estimate_profile

    known, hours = estimate_profile(profile), profile.budget.hours
    within = f"{hours:g} h for {known.work / 3600:.1f} h of work"
    if len({offer.spot for offer in offers}) < 2:
        fix = "a longer deadline is cheaper: `cortex estimate --deadline HOURS` says by how much"
        return Finding(NAME, True, f"{within}: too little slack for spot machines, so it is on demand", fix)
    found = estimate_run(profile, own_gpu_offers(profile, offers), estimate=known, deadline_hours=hours, replays=200)
    kept, spot = found[BOTH], found["spot only"]
    detail = (
        f"{within}: {kept.late:.0%} of such runs are late, half cost at most ${kept.dollars.p50:,.0f}; on spot alone "
        f"{spot.late:.0%}, ${spot.dollars.p50:,.0f}"
    )
    return Finding(NAME, True, detail, "set budget.hours to more" if kept.late > LATE else None)
