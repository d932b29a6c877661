"""Messages of the other machines of a training, for the leader's supervisor."""

import time

from cortex.errors import CortexError
from cortex.runs.gang import Gang
from cortex.runs.gang_follower import Follower
from cortex.runs.gang_leader import fault_of
from cortex.runs.node_words import Noticed
from cortex.runs.notice import Notice


class Peers:
    """Messages of the other nodes since the trainer was started; none where a machine trains alone."""

    def __init__(self, gang: Gang | None) -> None:
        self.failure: CortexError | None = None
        """The first node's failure or disappearance, as the error that all nodes end with."""
        self._gang = None if isinstance(gang, Follower) else gang
        self._notice: Notice | None = None
        self._failed_at = 0.0

    def listen(self) -> None:
        """Read the messages since the last call."""
        for rank, word in self._gang.received_words() if self._gang else ():
            now = time.monotonic()
            if isinstance(word, Noticed):
                told = Notice(f"node {rank}: {word.source}", now + word.seconds, word.text)
                self._notice = self.first(told)
            elif self.failure is None:
                self.failure, self._failed_at = fault_of(rank, word), now

    def first(self, ours: Notice | None) -> Notice | None:
        """The notice with the earlier deadline: this machine's own, or another's."""
        known = [notice for notice in (ours, self._notice) if notice is not None]
        return min(known, key=lambda notice: notice.deadline, default=None)

    def failed_for(self, seconds: float) -> bool:
        """True where a node failed at least so many seconds ago."""
        return self.failure is not None and time.monotonic() - self._failed_at >= seconds
