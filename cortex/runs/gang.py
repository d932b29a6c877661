"""Several machines that train one stage as one: the node of rank 0 leads, and the others do as it says.

The leader alone holds the run's lease: it writes the ledger, commits checkpoints, publishes. It chooses the checkpoint
that all go on from, starts nobody's trainer before everybody is ready, and has the last word: the exit code of all.
"""

import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self, TypeVar

from loguru import logger

from cortex.errors import ConfigError, CortexError, PreemptedError, RefusedError, StageError, error_of
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
    greet_follower,
    greet_leader,
)
from cortex.runs.nodes import Node
from cortex.runs.run_secret import RunSecret

_Kind = TypeVar("_Kind", Begin, Resume, Go)

PORT = 29401
"""Where the leader listens: the one after torchrun's usual one."""

JOIN_SECONDS = 600.0
"""How long a node waits for the leader to listen, which is the first thing that its program does."""

READY_SECONDS = 3600.0
"""How long the leader waits for every node to be ready: one may be reading the base long after the other has it."""

FAREWELL_SECONDS = 30.0
"""How long a leader that failed waits for nodes that have not joined, to tell them: they would wait for it."""

CONNECT_SECONDS = 5.0
LOOK_SECONDS = 0.2

END_SECONDS = 900.0
"""How long a node that has failed waits for the leader's last word: SkyPilot kills all nodes of a task once the program
of any one has ended, and the leader may be sending a checkpoint."""

GONE_SECONDS = 20.0
"""How long a node whose leader is gone waits to be ended with it, before it ends itself as preempted."""


class Leader:
    """The leader's end: what the other nodes say, and what they are told."""

    def __init__(self, node: Node, secret: RunSecret, *, port: int = PORT) -> None:
        self.node = node
        self.rendezvous_port = 0
        """Where this stage's torchrun waits for the others'."""
        self._secret, self._port = secret, port
        self._links: dict[int, Link] = {}
        self._free = set(range(1, node.count))
        self._ready: set[int] = set()
        self._said: list[Word] = []
        """What a node that joins late has missed of this stage."""
        self._inbox: SimpleQueue[tuple[int, Word | None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._server: socket.socket | None = None

    def __enter__(self) -> Self:
        """Begin to listen. Raises ConfigError where that cannot be."""
        address = (self.node.addresses[0], self._port)
        try:
            self._server = socket.create_server(address)
        except OSError as error:
            raise ConfigError(
                f"node 0 cannot listen at {address[0]}:{address[1]} ({error.strerror}): the first of SKYPILOT_NODE_IPS "
                "must be an address of this machine's own, and no other run may be led from here"
            ) from error
        threading.Thread(target=self._accept, args=(self._server,), name="gang", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        code = 0 if error is None else error.exit_code if isinstance(error, CortexError) else 1
        self._said.clear()
        self._tell(End(code=code, reason=_line(error) if error else "done"))
        end = time.monotonic() + FAREWELL_SECONDS
        while code and len(self._links) < self.node.count - 1 and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
        links = list(self._links.values())
        if self._server:
            with suppress(OSError):
                self._server.shutdown(socket.SHUT_RDWR)  # ends `accept`, which closing alone does not
            self._server.close()
        for link in links:
            link.close()

    def begin(self, stage: str) -> None:
        """Have the others prepare a stage."""
        with self._lock:
            self._ready.clear()
            self._said.clear()
        self._tell(Begin(stage=stage))

    def resume(self, step: int | None, digest: str | None) -> None:
        """Say which checkpoint all go on from, which has to be in the bucket; None for the beginning."""
        with socket.create_server((self.node.addresses[0], 0)) as free:
            self.rendezvous_port = free.getsockname()[1]
        self._tell(Resume(step=step, digest=digest, port=self.rendezvous_port))

    def assemble(self, check: Callable[[], None], seconds: float = READY_SECONDS) -> None:
        """Wait until every node is ready, and have all start. `check` is called in between, and may raise.

        Raises:
            StageError: one did not come in time.
            CortexError: one failed, or is being taken away.
        """
        end = time.monotonic() + seconds
        others = set(range(1, self.node.count))
        while missing := others - self._ready:
            check()
            for rank, word in self.heard():
                raise fault_of(rank, word)
            if time.monotonic() > end:
                names = ", ".join(f"{rank} ({self.node.addresses[rank]})" for rank in sorted(missing))
                joined = "did not get ready" if missing <= set(self._links) else "did not come"
                raise StageError(
                    f"node {names} {joined} within {seconds:.0f} s: its log says more; the nodes of a task must reach "
                    f"one another at every port, {self._port} of {self.node.addresses[0]} first"
                )
            time.sleep(LOOK_SECONDS)
        self._tell(Go())

    def heard(self) -> Generator[tuple[int, Word | None]]:
        """What nodes have said since it was asked last, by rank; None: that node is gone."""
        while True:
            try:
                rank, word = self._inbox.get_nowait()
            except Empty:
                return
            if isinstance(word, Ready):
                self._ready.add(rank)
            else:
                yield rank, word

    def dump(self) -> None:
        """Have every process of the trainer, on all nodes, say where it is."""
        self._tell(Dump())

    def _tell(self, word: Word) -> None:
        with self._lock:
            self._said.append(word)
            for link in self._links.values():
                link.send(word)

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                connection, address = server.accept()
            except OSError:  # it was closed
                return
            threading.Thread(target=self._greet, args=(connection, address[0]), name="gang", daemon=True).start()

    def _admit(self, rank: int) -> None:
        """Give a rank away, once."""
        with self._lock:
            if rank not in self._free:
                raise RefusedError(f"it says that it is node {rank}, which there is not, or is here already")
            self._free.remove(rank)

    def _greet(self, connection: socket.socket, address: str) -> None:
        """Take in whoever has the run's secret; a thread for each: one that keeps silent holds up nobody."""
        try:
            rank = greet_follower(connection, self._secret, self._admit)
            with self._lock:
                link = self._links[rank] = Link(connection, lambda word: self._inbox.put((rank, word)))
                for word in self._said:
                    link.send(word)
        except (OSError, RefusedError) as error:
            logger.warning(f"{address} is not let in as a node of run {self._secret.run}: {error}")
            connection.close()


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
                time.sleep(1.0)
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
                self._link.send(Failed(code=code, reason=_line(error)))
                print(f"{_line(error)}; node 0 is told, and ends first", flush=True)
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
        """Whether the leader has asked, since the last call, where each process of the trainer is.

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


Gang = Leader | Follower
"""This machine's part in a task of several."""


def fault_of(rank: int, word: Word | None) -> CortexError:
    """The error that the leader ends with, after what a node said."""
    match word:
        case None:
            return PreemptedError(f"node {rank} is gone: the same command continues, on all of them")
        case Noticed():
            return PreemptedError(f"node {rank}: {word.source}: {word.text}; the same command continues")
        case Failed():
            return error_of(word.code, f"node {rank}: {word.reason}")
        case _:
            return StageError(f"node {rank} said {word.word!r}, which no node says: do all run the same image?")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__
