"""A follower in a gang: any node but the leader. It does what the leader says, and ends with its exit code."""

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
"""Seconds that a node waits for the leader to listen, which is the first thing that the leader's program does."""

CONNECT_SECONDS = 5.0

RETRY_SECONDS = 1.0
"""Time between attempts to connect: far less than the leader's `FAREWELL_SECONDS` after a failure."""

END_SECONDS = 900.0
"""Seconds that a failed node waits for the leader to end first: SkyPilot kills all nodes of a task once the program of
one has ended, and the leader may still be sending a checkpoint."""

GONE_SECONDS = 20.0
"""Seconds that a node whose leader is gone waits for SkyPilot to end it, before it ends itself as preempted."""


class Follower:
    """A follower's end of the connection: receives the leader's words, and sends its own."""

    def __init__(self, node: Node, secret: RunSecret, connection: socket.socket) -> None:
        self.node = node
        self.rendezvous_port = 0
        """The port of the leader's torchrun."""
        self._secret = secret
        self._inbox: SimpleQueue[Word | None] = SimpleQueue()
        self._end: End | None = None
        self._gone = False
        self._link = Link(connection, self._inbox.put)

    @classmethod
    def join(cls, node: Node, secret: RunSecret, over: Callable[[], bool], *, port: int = PORT) -> "Follower | None":
        """Join the leader as soon as it listens; None if it does not and `over` says that nothing is left to do.

        Raises:
            StageError: the leader does not listen, or cannot be reached.
            RefusedError: another program listens there, or the leader refuses this node.
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
        """Leave; after a failure on this node, wait for the leader to end first, and end as it did.

        Raises:
            CortexError: the leader's error, after a failure on this node.
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
                return end is not None and isinstance(error, CortexError)  # node 0 ended well: nothing is lost
            return False
        finally:
            self._link.close(0.0)

    def await_stage(self) -> str | None:
        """Wait for the next stage to prepare; None when the leader is done.

        Raises:
            CortexError: the leader ended with an error, which has the same exit code; or it is gone.
        """
        word = self._await(Begin)
        return word.stage if word else None

    def await_checkpoint(self) -> Resume:
        """Wait for the leader's choice of a checkpoint. Raises as `await_stage`."""
        word = self._await(Resume)
        if word is None:
            raise StageError("node 0 is done, in the middle of a stage of this node: its log says more")
        self.rendezvous_port = word.port
        return word

    def ready(self) -> None:
        """Tell the leader that this node is ready, and wait until all trainers may start. Raises as `await_stage`."""
        self._link.send(Ready())
        if self._await(Go) is None:
            raise StageError("node 0 is done, and did not start the trainer here: its log says more")

    def send_notice(self, source: str, text: str, seconds: float) -> None:
        """Tell the leader that this machine is being taken away."""
        self._link.send(Noticed(source=source, text=text, seconds=seconds))

    def dump_wanted(self) -> bool:
        """Tell if the leader asked, since the last call, for a stack dump of the trainer's processes.

        Raises:
            CortexError: the leader ended with an error, or is gone.
        """
        wanted = False
        while (word := self._next(0.0)) is not None:
            wanted = wanted or isinstance(word, Dump)
        return wanted

    def _await(self, kind: type[_Kind]) -> _Kind | None:
        """The next word of a kind; None if the leader ends well before it sends one."""
        while self._end is None:
            word = self._next(LOOK_SECONDS)
            if isinstance(word, kind):
                return word
        return None

    def _next(self, seconds: float) -> Word | None:
        """The next word; None if none comes in time."""
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
        """The leader's last word; None if it is gone without one, or takes too long."""
        end = time.monotonic() + seconds
        with suppress(CortexError):
            while self._end is None and time.monotonic() < end:
                self._next(LOOK_SECONDS)
        return self._end
