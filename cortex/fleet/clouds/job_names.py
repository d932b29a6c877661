"""Names and tags of a run's jobs, clusters and machines, for launching them and for finding them again.

All are derived from the run's own id, because SkyPilot's ids change when its server restarts in the middle of a job.
"""

import hashlib
import re

RUN_TAG = "cortex-run"
"""The tag of every machine of a run, with `run_label` as its value."""

BASE_TAG = "cortex-base"
"""The tag of a run's role that names the base model which its machines may copy from the hub into the bucket."""

OWNER_TAG = "cortex-owner"
"""The tag that names the user who launched a machine, with `owner_label` as its value."""

BUCKET_TAG = "cortex-bucket"
"""The tag that names the bucket of a machine's run, with `bucket_label` as its value: two buckets of one account may
have a run of the same id."""

SERVICE_TAG = "cortex-service"
"""The tag of a service's replicas, with the service's name as its value."""

_LONGEST = 55
"""Most characters of a label. With the prefix `cortex-` a name stays below 63, the tightest limit of any cloud."""


def run_label(run: str) -> str:
    """The run's id in a form that every cloud accepts in tags and names; an id that had to be changed gets a hash."""
    plain = re.sub(r"[^a-z0-9]+", "-", run.lower()).strip("-")
    if plain == run and len(plain) <= _LONGEST:
        return plain
    mark = hashlib.sha256(run.encode()).hexdigest()[:8]
    return f"{plain[: _LONGEST - len(mark) - 1].rstrip('-')}-{mark}".lstrip("-")


def owner_label(owner: str) -> str:
    """A person's name or address in a form that every cloud accepts as a tag's value."""
    return re.sub(r"[^a-z0-9]+", "-", owner.lower()).strip("-")[:_LONGEST].rstrip("-") or "unknown"


def bucket_label(url: str) -> str:
    """A bucket's URL in a form that every cloud accepts as a tag's value."""
    return run_label(url.rstrip("/"))


def job_name(run: str) -> str:
    """Name of the run's managed job."""
    return f"cortex-{run_label(run)}"


def cluster_name(run: str) -> str:
    """Name of the run's own cluster or service."""
    return f"cortex-{run_label(run)}"
