"""Check of machines on other clouds than the bucket's: they get the bucket's keys, and a login to the registry."""

from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.fleet.tasks.bucket_keys import find_missing_keys, names_of_keys

NAME = "elsewhere"


def check(ground: Ground) -> Finding:
    """Check that every machine can open the bucket and pull its image; one that cannot would cost money for nothing."""
    bucket = ground.settings.bucket_url
    faults = find_missing_keys(ground.documents, bucket, ground.environment)
    if faults:
        return Finding(NAME, False, "; ".join(words for words, _ in faults), "; ".join(fix for _, fix in faults))
    taken = {name for cloud in ground.clouds() for name in names_of_keys(bucket, cloud)}
    if taken:
        return Finding(NAME, True, f"the bucket's keys go along as secrets: {', '.join(sorted(taken))}")
    return Finding(NAME, True, "every machine opens the bucket as itself, or needs none")
