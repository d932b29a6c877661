"""The check of a run's deadline: can it end by then, and what does that cost beside spot machines alone?"""

from collections.abc import Sequence

from cortex.errors import CortexError, UsageError
from cortex.fleet.preflight.cost import BOTH
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.runs.prices import Offer
from cortex.runs.profile import Profile

NAME = "deadline"

LATE = 0.05
"""The share of replays that are late above which a deadline is warned of."""


def check(ground: Ground) -> Finding:
    """Replay the run within its deadline: on spot and on demand, as it goes by it, and on spot machines alone."""
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
    from cortex.fleet.forecast.estimate import estimated
    from cortex.fleet.forecast.forecast import forecast
    from cortex.fleet.forecast.prices import of_its_own

    known, hours = estimated(profile), profile.budget.hours
    within = f"{hours:g} h for {known.work / 3600:.1f} h of work"
    if len({offer.spot for offer in offers}) < 2:
        fix = "a longer deadline is cheaper: `cortex forecast --deadline HOURS` says by how much"
        return Finding(NAME, True, f"{within}: too little slack for spot machines, so it is on demand", fix)
    found = forecast(profile, of_its_own(profile, offers), estimate=known, deadline_hours=hours, replays=200)
    kept, spot = found[BOTH], found["spot only"]
    detail = (
        f"{within}: {kept.late:.0%} of such runs are late, half cost at most ${kept.dollars.p50:,.0f}; on spot alone "
        f"{spot.late:.0%}, ${spot.dollars.p50:,.0f}"
    )
    return Finding(NAME, True, detail, "set budget.hours to more" if kept.late > LATE else None)
