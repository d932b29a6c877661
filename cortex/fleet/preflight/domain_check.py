"""Check that machines will find the profile's domain: images hold the kit's own code, and no other folder."""

from cortex.domains.registry import outside_folder
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground

NAME = "domain"


def check(ground: Ground) -> Finding:
    """Find out whether the domain's code is part of the kit."""
    kind = ground.profile.domain.kind
    folder = outside_folder(ground.profile.domain)
    if folder is None:
        return Finding(NAME, True, f"{kind} is part of the kit, and so of its images")
    return Finding(
        NAME,
        False,
        f"{kind} lies in {folder}, found through CORTEX_DOMAINS, and images hold the kit's own domains alone",
        f"move {folder} into cortex/domains/, then `make images` and `make push`",
    )
