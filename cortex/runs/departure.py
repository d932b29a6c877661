"""Leaving a machine that its cloud takes away, so that the job is recovered elsewhere.

SkyPilot recovers a managed job if its machine is gone, or if the job ends with an exit code in `recover_on_exit_codes`
on a machine that is still there. Between the two is a gap: once SkyPilot has seen that the job ended, it copies the log
and then asks for the exit code (sky/jobs/controller.py, 0.14.1). If the machine goes in between, it gets no exit code,
and fails the job for good. So a job that knows when its machine goes saves everything, and then waits until it is gone.
"""

import os
import time
from collections.abc import Mapping

from cortex.errors import PreemptedError

MANAGED = "SKYPILOT_TASK_ID"
"""The variable that SkyPilot sets for its jobs."""

GRACE = 60.0
"""Seconds after the announced time after which a machine that is still there counts as not taken."""


def stay_until_taken(left: PreemptedError, environment: Mapping[str, str] | None = None) -> None:
    """Wait for the end of this machine if it runs SkyPilot's job and the cloud has said when it goes.

    Usually the machine goes before this returns.
    """
    if left.gone_by is None or MANAGED not in (os.environ if environment is None else environment):
        return
    seconds = max(0.0, left.gone_by + GRACE - time.monotonic())
    print(f"all is saved: waiting for this machine to be taken, {seconds:.0f} s at most", flush=True)
    time.sleep(seconds)
