"""Check of the Docker Engine that builds the images; not needed once they are pushed."""

from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.local.docker import engine_fault

NAME = "docker"


def check(ground: Ground) -> Finding:
    """Ask the engine for its version, unless the images are pushed already (`make push` writes their digests)."""
    if ground.digests.exists():
        return Finding(NAME, True, f"not needed: {ground.digests.name} names the images that were pushed")
    fault = engine_fault()
    if fault is None:
        return Finding(NAME, True, "an engine answers, and can build the images")
    what, fix = fault
    return Finding(NAME, False, f"{what}, and the images are not pushed yet", f"{fix}: docs.docker.com/engine/install")
