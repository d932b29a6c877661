"""What a run's jobs, clusters and machines are called: launching names them so, and all that looks for them reads it.

The run's own id is the key to everything. SkyPilot's ids change when its server restarts in the middle of a job.
"""

import hashlib
import re

RUN_TAG = "cortex-run"
"""The tag that every machine of a run bears, with `run_label` as its value."""

BASE_TAG = "cortex-base"
"""The tag of a run's role that says which hub's model its machines may copy into the bucket."""

OWNER_TAG = "cortex-owner"
"""The tag that says who launched it, with `owner_label` as its value."""

BUCKET_TAG = "cortex-bucket"
"""The tag that says in which bucket its run is kept, with `bucket_label` as its value: two buckets of one account may
have a run of the same id."""

_LONGEST = 55
"""A name is then of at most 63 characters: the least that a cloud which limits them allows."""


def run_label(run: str) -> str:
    """The run's id where every cloud takes it, as a tag and in a name; an id that had to be changed gets a hash."""
    plain = re.sub(r"[^a-z0-9]+", "-", run.lower()).strip("-")
    if plain == run and len(plain) <= _LONGEST:
        return plain
    mark = hashlib.sha256(run.encode()).hexdigest()[:8]
    return f"{plain[: _LONGEST - len(mark) - 1].rstrip('-')}-{mark}".lstrip("-")


def owner_label(owner: str) -> str:
    """A person's name or address where every cloud takes it as a tag."""
    return re.sub(r"[^a-z0-9]+", "-", owner.lower()).strip("-")[:_LONGEST].rstrip("-") or "unknown"


def bucket_label(url: str) -> str:
    """A bucket's URL where every cloud takes it as a tag."""
    return run_label(url.rstrip("/"))


def job_name(run: str) -> str:
    """The run's managed job."""
    return f"cortex-{run_label(run)}"


def cluster_name(run: str) -> str:
    """A cluster, or a service, that is the run's own."""
    return f"cortex-{run_label(run)}"
