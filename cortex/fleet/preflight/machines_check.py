"""Check that SkyPilot knows the places and machines that the tasks name."""

from cortex.errors import ConfigError
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground

NAME = "machines"


def check(ground: Ground) -> Finding:
    """Look up every task's machines in SkyPilot's catalog, which has no unknown cloud, region, zone or GPU."""
    if not ground.documents:
        return Finding(NAME, None, "no pipeline was given")
    try:
        offers = [offer for _, found in ground.offers for offer in found]
    except ConfigError as error:
        fix = "correct that in the pipeline file; `sky gpus list --all-regions` shows what there is"
        return Finding(NAME, False, str(error), fix)
    regions = sorted({f"{offer.cloud}/{offer.region}" for offer in offers})
    more = f" and {len(regions) - 4} more" if len(regions) > 4 else ""
    kinds = len({(offer.cloud, offer.instance_type) for offer in offers})
    return Finding(NAME, True, f"{kinds} types of machine in {', '.join(regions[:4])}{more}")
