"""Several machines that train one stage together: the node of rank 0 leads, and the others follow.

The leader alone holds the run's lease: it writes the ledger, commits checkpoints and publishes. It chooses the
checkpoint that all nodes resume from, starts the trainers once all nodes are ready, and decides the exit code of all.
"""

from cortex.runs.gang_follower import Follower
from cortex.runs.gang_leader import Leader

Gang = Leader | Follower
"""This machine's part in a task of several machines."""
