"""Check that machines will find the profile's domain: images hold the kit's own code, and no other folder."""

from cortex.domains.registry import outside_folder
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground

NAME = "domain"


def check(ground: Ground) -> Finding:
    """Find out whether the domain's code is part of the kit."""
    domains = ground.profile.domain.parts().values()
    for domain in domains:
        if folder := outside_folder(domain):
            return Finding(
                NAME,
                False,
                f"{domain.kind} lies in {folder}, found through CORTEX_DOMAINS, and images hold the kit's own domains "
                "alone",
                f"move {folder} into cortex/domains/, then `make images` and `make push`",
            )
    kinds = " and ".join(dict.fromkeys(str(domain.kind) for domain in domains))
    return Finding(NAME, True, f"{kinds} {'is' if len(domains) == 1 else 'are'} part of the kit, and so of its images")
