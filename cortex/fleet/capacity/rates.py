"""Rates of a rented machine that are in no GPU's data sheet: its disk, its network, its start. Most are estimates."""

from collections.abc import Mapping
from typing import Any

NETWORK = 1.0e9
"""Bytes a second from a model hub or a bucket. Such machines have 25 to 400 Gbit/s; this is what a few hundred
connections of one program have been seen to reach."""

NODE_LINK = 12.5e9
"""Bytes a second into one machine from the others that train with it: 100 Gbit/s of TCP, the rate of one network card
of AWS's p5, of which SkyPilot attaches one (EC2 User Guide, "Maximize network bandwidth on Amazon EC2 instances with
multiple network cards": 32 cards, 3,200 Gbit/s). Not measured. EFA over all cards, which the kit does not set up, is
many times faster."""

DISKS = {"low": 90e6, "medium": 218e6, "high": 437e6, "ultra": 1.0e9, "best": 437e6}
"""Bytes a second by SkyPilot's `disk_tier`, as it configures AWS's gp3 volumes (IOPS / 16 MB/s, `sky.clouds.aws`)."""

BOOT = 300.0
"""Seconds from the request for a machine until a container can start on it."""
IMAGE = 12e9
"""Bytes of an image with CUDA, compressed."""
START = 60.0
"""Seconds for a trainer to import its libraries, join its processes, and build its data set."""

ENGINE_START = 150.0
"""Seconds of vLLM's start without the loading of weights: it compiles kernels, captures graphs, profiles memory."""


def disk_rate(document: Mapping[str, Any]) -> float:
    """Bytes a second of a task's disk."""
    resources: Mapping[str, Any] = document.get("resources") or {}
    return DISKS.get(str(resources.get("disk_tier") or "medium"), DISKS["medium"])
