"""Several machines that train one stage as one: the node of rank 0 leads, and the others do as it says.

The leader alone holds the run's lease: it writes the ledger, commits checkpoints, publishes. It chooses the checkpoint
that all go on from, starts nobody's trainer before everybody is ready, and has the last word: the exit code of all.
"""

from cortex.runs.gang_follower import Follower
from cortex.runs.gang_leader import Leader

Gang = Leader | Follower
"""This machine's part in a task of several."""
