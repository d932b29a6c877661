"""What machines outside of the bucket's own cloud bring along: the bucket's keys, and a login to the registry."""

from cortex.fleet.elsewhere import missing, names_of_keys
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground

NAME = "elsewhere"


def check(ground: Ground) -> Finding:
    """See that every machine could open the bucket and pull its image: one that cannot is paid for all the same."""
    bucket = ground.settings.bucket_url
    faults = missing(ground.documents, bucket, ground.environment)
    if faults:
        return Finding(NAME, False, "; ".join(words for words, _ in faults), "; ".join(fix for _, fix in faults))
    taken = {name for cloud in ground.clouds() for name in names_of_keys(bucket, cloud)}
    if taken:
        return Finding(NAME, True, f"the bucket's keys go along as secrets: {', '.join(sorted(taken))}")
    return Finding(NAME, True, "every machine opens the bucket as itself, or needs none")
