"""The leader of a gang: the node that holds the run's lease, and tells the others what to do."""

import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

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
    one_line,
)
from cortex.runs.nodes import Node
from cortex.runs.run_secret import RunSecret

PORT = 29401
"""The port that the leader listens at: the one after torchrun's default."""

READY_SECONDS = 3600.0
"""Seconds that the leader waits for all nodes to be ready: one may take much longer to read the base than another."""

FAREWELL_SECONDS = 30.0
"""Seconds that a failed leader waits for nodes that have not joined yet: untold, they would wait for it in vain."""

LOOK_SECONDS = 0.2


class Leader:
    """The leader's end of the connections: receives the other nodes' words, and sends its own to all."""

    def __init__(self, node: Node, secret: RunSecret, *, port: int = PORT) -> None:
        self.node = node
        self.rendezvous_port = 0
        """The port at which this stage's torchrun waits for the other nodes'."""
        self._secret, self._port = secret, port
        self._links: dict[int, Link] = {}
        self._free = set(range(1, node.count))
        self._ready: set[int] = set()
        self._said: list[Word] = []
        """The words of this stage so far, for nodes that join late."""
        self._inbox: SimpleQueue[tuple[int, Word | None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._server: socket.socket | None = None

    def __enter__(self) -> Self:
        """Begin to listen. Raises ConfigError if the address cannot be used."""
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
        self._broadcast(End(code=code, reason=one_line(error) if error else "done"))
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
        """Tell the other nodes to prepare a stage."""
        with self._lock:
            self._ready.clear()
            self._said.clear()
        self._broadcast(Begin(stage=stage))

    def resume(self, step: int | None, digest: str | None) -> None:
        """Tell all nodes which checkpoint to resume from, which must be in the bucket; None for the beginning."""
        with socket.create_server((self.node.addresses[0], 0)) as free:
            self.rendezvous_port = free.getsockname()[1]
        self._broadcast(Resume(step=step, digest=digest, port=self.rendezvous_port))

    def assemble(self, check: Callable[[], None], seconds: float = READY_SECONDS) -> None:
        """Wait until all nodes are ready, and tell them to start. `check` is called meanwhile, and may raise.

        Raises:
            StageError: a node was not ready in time.
            CortexError: a node failed, or is being taken away.
        """
        end = time.monotonic() + seconds
        others = set(range(1, self.node.count))
        while missing := others - self._ready:
            check()
            for rank, word in self.received_words():
                raise fault_of(rank, word)
            if time.monotonic() > end:
                names = ", ".join(f"{rank} ({self.node.addresses[rank]})" for rank in sorted(missing))
                joined = "did not get ready" if missing <= set(self._links) else "did not come"
                raise StageError(
                    f"node {names} {joined} within {seconds:.0f} s: its log says more; the nodes of a task must reach "
                    f"one another at every port, {self._port} of {self.node.addresses[0]} first"
                )
            time.sleep(LOOK_SECONDS)
        self._broadcast(Go())

    def received_words(self) -> Generator[tuple[int, Word | None]]:
        """Yield the words since the last call, each with its node's rank; None means that the node is gone."""
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
        """Ask all nodes for a stack dump of each process of the trainer."""
        self._broadcast(Dump())

    def _broadcast(self, word: Word) -> None:
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
        """Assign a rank to a node; each is assigned once."""
        with self._lock:
            if rank not in self._free:
                raise RefusedError(f"it says that it is node {rank}, which there is not, or is here already")
            self._free.remove(rank)

    def _greet(self, connection: socket.socket, address: str) -> None:
        """Let a node in if it has the run's secret. Each connection has its own thread: a silent one delays nobody."""
        try:
            rank = greet_follower(connection, self._secret, self._admit)
            with self._lock:
                link = self._links[rank] = Link(connection, lambda word: self._inbox.put((rank, word)))
                for word in self._said:
                    link.send(word)
        except (OSError, RefusedError) as error:
            logger.warning(f"{address} is not let in as a node of run {self._secret.run}: {error}")
            connection.close()


def fault_of(rank: int, word: Word | None) -> CortexError:
    """The error that the leader ends with after a node's word; None means that the node is gone."""
    match word:
        case None:
            return PreemptedError(f"node {rank} is gone: the same command continues, on all of them")
        case Noticed():
            return PreemptedError(f"node {rank}: {word.source}: {word.text}; the same command continues")
        case Failed():
            return error_of(word.code, f"node {rank}: {word.reason}")
        case _:
            return StageError(f"node {rank} said {word.word!r}, which no node says: do all run the same image?")
