"""Check of the programs that a SkyPilot server on this machine needs, or else those that reach a stack's server."""

import shutil

from cortex.fleet.clouds.skypilot import has_remote_server
from cortex.fleet.clouds.tunnel import NEEDED as TUNNEL
from cortex.fleet.clouds.tunnel import find_tunnel
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground

NAME = "tools"

NEEDED = {"ssh": "openssh-client", "rsync": "rsync"}
"""Programs by which SkyPilot's server reaches a machine and copies a task's files, each with its Debian package. If one
is missing, machines are rented, cannot be set up, and are ended, again and again. AWS's command line is not listed,
since it is in the kit's own lock."""


def check(ground: Ground) -> Finding:
    """Look for each program on the PATH."""
    if find_tunnel(ground.settings):
        return _of_the_tunnel()
    if has_remote_server():
        return Finding(NAME, True, "those of SkyPilot's server, which is another machine's")
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if not missing:
        return Finding(NAME, True, f"{' and '.join(NEEDED)} are here")
    packages = " ".join(NEEDED[program] for program in missing)
    return Finding(
        NAME,
        False,
        f"{' and '.join(missing)} cannot be found on this machine's PATH, and SkyPilot sets up no machine without",
        f"install {packages}: `sudo apt-get install {packages}`, or with this system's own package manager",
    )


def _of_the_tunnel() -> Finding:
    missing = [program for program in TUNNEL if shutil.which(program) is None]
    if not missing:
        return Finding(NAME, True, f"{' and '.join(TUNNEL)}, which reach SkyPilot's server, are here")
    return Finding(
        NAME,
        False,
        f"{' and '.join(missing)} cannot be found on this machine's PATH, and SkyPilot's server is reached through it",
        "; ".join(f"{program}: {TUNNEL[program]}" for program in missing),
    )
