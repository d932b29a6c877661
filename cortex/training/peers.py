"""What the other machines that train with this one say, for the supervisor of the one that leads them."""

import time

from cortex.errors import CortexError
from cortex.runs.gang import Gang
from cortex.runs.gang_follower import Follower
from cortex.runs.gang_leader import fault_of
from cortex.runs.node_words import Noticed
from cortex.runs.notice import Notice


class Peers:
    """The other nodes' words since the trainer was started; none of a machine that is alone."""

    def __init__(self, gang: Gang | None) -> None:
        self.failure: CortexError | None = None
        """The first that failed or vanished, as the error that all end with."""
        self._gang = None if isinstance(gang, Follower) else gang
        self._notice: Notice | None = None
        self._failed_at = 0.0

    def listen(self) -> None:
        """Take in what was said since the last call."""
        for rank, word in self._gang.heard() if self._gang else ():
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
        """True where one has failed, so long ago."""
        return self.failure is not None and time.monotonic() - self._failed_at >= seconds
