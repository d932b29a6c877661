"""Leaving a machine that its cloud takes away, so that the job comes back elsewhere.

SkyPilot brings a managed job back from a machine that is gone, and from an exit code in `recover_on_exit_codes` on one
that is there. Between the two is a gap: having seen that the job ended, it copies the log and then asks for the exit
code (sky/jobs/controller.py, 0.14.1). Where the machine goes in between, it learns of none, and fails the job for good.
So a job that was told when its machine goes does not end before: it stays, with all saved, until it is taken.
"""

import os
import time
from collections.abc import Mapping

from cortex.errors import PreemptedError

MANAGED = "SKYPILOT_TASK_ID"
"""SkyPilot sets it for what it runs."""

GRACE = 60.0
"""Seconds after the announced time at which a machine that is still there was not taken after all."""


def stay_until_taken(left: PreemptedError, environment: Mapping[str, str] | None = None) -> None:
    """Wait for the end of this machine, if it is SkyPilot's and its cloud has said when; ends with it, as a rule."""
    if left.gone_by is None or MANAGED not in (os.environ if environment is None else environment):
        return
    seconds = max(0.0, left.gone_by + GRACE - time.monotonic())
    print(f"all is saved: waiting for this machine to be taken, {seconds:.0f} s at most", flush=True)
    time.sleep(seconds)
