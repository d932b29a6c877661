"""A follower in a gang: any node but the leader, which does as that says and ends as it did."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self, TypeVar

from cortex.errors import CortexError, PreemptedError, RefusedError, StageError, error_of
from cortex.runs.gang_leader import LOOK_SECONDS, PORT
from cortex.runs.node_words import (
    Begin,
    Dump,
    End,
    Failed,
    Go,
    Link,
    Noticed,
    Ready,
    Resume,
    Word,
    greet_leader,
    one_line,
)
from cortex.runs.nodes import Node
from cortex.runs.run_secret import RunSecret

_Kind = TypeVar("_Kind", Begin, Resume, Go)

JOIN_SECONDS = 600.0
"""How long a node waits for the leader to listen, which is the first thing that its program does."""

CONNECT_SECONDS = 5.0

RETRY_SECONDS = 1.0
"""Before a leader that does not listen is tried again: far less than one that failed waits to be asked."""

END_SECONDS = 900.0
"""How long a node that has failed waits for the leader's last word: SkyPilot kills all nodes of a task once the program
of any one has ended, and the leader may be sending a checkpoint."""

GONE_SECONDS = 20.0
"""How long a node whose leader is gone waits to be ended with it, before it ends itself as preempted."""


class Follower:
    """The end of any other node: what the leader says, and what it is told."""

    def __init__(self, node: Node, secret: RunSecret, connection: socket.socket) -> None:
        self.node = node
        self.rendezvous_port = 0
        """Where the leader's torchrun waits."""
        self._secret = secret
        self._inbox: SimpleQueue[Word | None] = SimpleQueue()
        self._end: End | None = None
        self._gone = False
        self._link = Link(connection, self._inbox.put)

    @classmethod
    def join(cls, node: Node, secret: RunSecret, over: Callable[[], bool], *, port: int = PORT) -> "Follower | None":
        """Join the leader, as soon as it listens; None where there is nothing to do any more, as `over` says.

        Raises:
            StageError: it does not listen, or cannot be reached.
            RefusedError: what listens there is not this run's leader.
        """
        address, end = (node.addresses[0], port), time.monotonic() + JOIN_SECONDS
        while True:
            try:
                connection = socket.create_connection(address, CONNECT_SECONDS)
            except OSError as error:
                if over():
                    return None
                if time.monotonic() > end:
                    raise StageError(
                        f"node 0 cannot be reached at {address[0]}:{address[1]} ({error}): its log says whether it "
                        "came so far; the nodes of a task must reach one another at every port"
                    ) from error
                time.sleep(RETRY_SECONDS)
                continue
            try:
                greet_leader(connection, secret, node.rank)
            except (OSError, RefusedError) as error:
                connection.close()
                raise RefusedError(
                    f"node 0 at {address[0]}:{address[1]} does not let node {node.rank} in: {error}"
                ) from error
            return cls(node, secret, connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Leave. After a failure here only once the leader has ended, and then as it did.

        Raises:
            CortexError: how the leader has ended, where something failed here before.
        """
        try:
            if self._gone:
                time.sleep(GONE_SECONDS)
            elif error is not None and self._end is None:
                code = error.exit_code if isinstance(error, CortexError) else 1
                self._link.send(Failed(code=code, reason=one_line(error)))
                print(f"{one_line(error)}; node 0 is told, and ends first", flush=True)
                end = self._last_word(END_SECONDS)
                if end and end.code:
                    raise error_of(end.code, f"node 0: {end.reason}") from error
                return end is not None and isinstance(error, CortexError)  # node 0 has all that there is to have
            return False
        finally:
            self._link.close(0.0)

    def begun(self) -> str | None:
        """Wait for the next stage to prepare; None: the leader is done.

        Raises:
            CortexError: it has ended otherwise, with the same exit code; or it is gone.
        """
        word = self._await(Begin)
        return word.stage if word else None

    def resumed(self) -> Resume:
        """Wait for the leader's choice of a checkpoint. Raises as `begun`."""
        word = self._await(Resume)
        if word is None:
            raise StageError("node 0 is done, in the middle of a stage of this node: its log says more")
        self.rendezvous_port = word.port
        return word

    def ready(self) -> None:
        """Tell the leader that the trainer can start here, and wait for it to say that all do. Raises as `begun`."""
        self._link.send(Ready())
        if self._await(Go) is None:
            raise StageError("node 0 is done, and did not start the trainer here: its log says more")

    def noticed(self, source: str, text: str, seconds: float) -> None:
        """Tell the leader that this machine is being taken away."""
        self._link.send(Noticed(source=source, text=text, seconds=seconds))

    def dump_wanted(self) -> bool:
        """True where the leader has asked, since the last call, where each process of the trainer is.

        Raises:
            CortexError: the leader has ended with a fault, or is gone.
        """
        wanted = False
        while (word := self._next(0.0)) is not None:
            wanted = wanted or isinstance(word, Dump)
        return wanted

    def _await(self, kind: type[_Kind]) -> _Kind | None:
        """The next word of a kind; None where the leader ends well before it says one."""
        while self._end is None:
            word = self._next(LOOK_SECONDS)
            if isinstance(word, kind):
                return word
        return None

    def _next(self, seconds: float) -> Word | None:
        """The next word; None where none comes in time."""
        try:
            word = self._inbox.get(timeout=seconds) if seconds else self._inbox.get_nowait()
        except Empty:
            return None
        if word is None:
            if self._end is None:
                self._gone = True
                raise PreemptedError(
                    f"node 0 ({self.node.addresses[0]}) is gone: this node leaves; the run continues from its last "
                    "checkpoint, on all of them"
                )
            return None
        if isinstance(word, End):
            self._end = word
            if word.code:
                raise error_of(word.code, f"node 0: {word.reason}")
        return word

    def _last_word(self, seconds: float) -> End | None:
        """The leader's end; None where it is gone without one, or takes too long."""
        end = time.monotonic() + seconds
        with suppress(CortexError):
            while self._end is None and time.monotonic() < end:
                self._next(LOOK_SECONDS)
        return self._end
