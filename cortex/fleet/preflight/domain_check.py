"""Check that machines will find the profile's domain: images hold the kit's own code, and no other folder."""

from cortex.domains.registry import outside_folder
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground

NAME = "domain"


def check(ground: Ground) -> Finding:
    """Find out whether the domain's code is part of the kit, and its feedback in the bucket."""
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
        if domain.feedback and domain.feedback.folder:
            return Finding(
                NAME,
                False,
                f"the feedback of {domain.kind} lies in {domain.feedback.dataset}, which rented machines cannot read",
                "publish it: cortex feedback build ... --publish NAME, then name NAME in the profile",
            )
    kinds = " and ".join(dict.fromkeys(str(domain.kind) for domain in domains))
    return Finding(NAME, True, f"{kinds} {'is' if len(domains) == 1 else 'are'} part of the kit, and so of its images")
