"""The protocol between the programs on the machines of one task: JSON lines over TCP.

Both ends first prove to each other that they hold the run's secret. The messages after that are not protected, just
like the trainers' own traffic: the protocol is for a private network of the machines.
"""

import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from cortex.errors import RefusedError
from cortex.runs.run_secret import RunSecret

BEAT_SECONDS = 2.0
"""Seconds between two signs of life."""

SILENT_SECONDS = 60.0
"""A machine without a sign of life for so long counts as gone: one that is cut off cannot say so."""

HANDSHAKE_SECONDS = 10.0
"""The time limit for each line of the handshake."""

LINE_BYTES = 8192
"""The longest line; a reason has 500 letters."""


class _Word(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Begin(_Word):
    """From the leader: prepare this stage."""

    word: Literal["begin"] = "begin"
    stage: str


class Resume(_Word):
    """From the leader: the checkpoint that all nodes resume from; None for the beginning."""

    word: Literal["resume"] = "resume"
    step: int | None
    digest: str | None
    """The digest of its manifest, so that every machine knows that it has the same."""
    port: Annotated[int, Field(gt=0, lt=65536)]
    """The port at which the leader's torchrun waits for the others."""


class Ready(_Word):
    """To the leader: everything that the trainer reads is on this machine."""

    word: Literal["ready"] = "ready"


class Go(_Word):
    """From the leader: all nodes are ready; start the trainer."""

    word: Literal["go"] = "go"


class Noticed(_Word):
    """To the leader: this machine is being taken away within so many seconds."""

    word: Literal["noticed"] = "noticed"
    source: str
    text: str
    seconds: float


class Dump(_Word):
    """From the leader: the trainer hangs; dump the stacks of its processes."""

    word: Literal["dump"] = "dump"


class Failed(_Word):
    """To the leader: this machine's part has failed, with the exit code and the reason."""

    word: Literal["failed"] = "failed"
    code: int
    reason: str


class End(_Word):
    """From the leader, as its last word: the exit code of all nodes, and the reason."""

    word: Literal["end"] = "end"
    code: int
    reason: str


class Beat(_Word):
    """A sign of life."""

    word: Literal["beat"] = "beat"


Word = Annotated[
    Begin | Resume | Ready | Go | Noticed | Dump | Failed | End | Beat,
    Field(discriminator="word"),
]
_WORD: TypeAdapter[Word] = TypeAdapter(Word)
_OBJECT = TypeAdapter(dict[str, JsonValue])


class Link:
    """One end of a connection between two machines' programs. A thread of its own passes words to `hear`."""

    def __init__(self, connection: socket.socket, hear: Callable[[Word | None], None]) -> None:
        """`hear` gets each word except signs of life; at the end it gets None once, when the other end is gone."""
        self._connection, self._hear = connection, hear
        self._heard_at = time.monotonic()
        self._sending, self._closing = threading.Lock(), threading.Event()
        connection.settimeout(SILENT_SECONDS)
        for work in (self._listen, self._beat):
            threading.Thread(target=work, name="node-link", daemon=True).start()

    def send(self, word: Word) -> None:
        """Send a word. If the other end is gone, nothing is raised, since `hear` gets None."""
        with self._sending, suppress(OSError):
            self._connection.sendall(word.model_dump_json().encode() + b"\n")

    def close(self, seconds: float = 5.0) -> None:
        """Stop sending, and wait a little until the other end has read everything."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
        self._closing.wait(seconds)
        self._connection.close()

    def _listen(self) -> None:
        try:
            # A read that takes longer than `SILENT_SECONDS` ends the connection: TimeoutError is an OSError.
            with self._connection.makefile("rb") as lines:
                while line := lines.readline(LINE_BYTES):
                    word = _WORD.validate_json(line)
                    if not isinstance(word, Beat):
                        self._hear(word)
        except (OSError, ValueError):  # cut off, or not a word of this protocol
            pass
        finally:
            self._closing.set()
            self._hear(None)

    def _beat(self) -> None:
        while not self._closing.wait(BEAT_SECONDS):
            self.send(Beat())


def greet_follower(connection: socket.socket, secret: RunSecret, admit: Callable[[int], None]) -> int:
    """Authenticate the leader and a follower to each other, and return the follower's rank. `admit` may refuse it.

    Raises:
        RefusedError: it does not hold the run's secret, does not answer, or `admit` refused it.
    """
    nonce = secrets.token_hex(16)
    answer = _exchange(connection, {"nonce": nonce})
    rank, theirs = answer.get("rank"), answer.get("nonce")
    if not (
        isinstance(rank, int)
        and isinstance(theirs, str)
        and secret.verifies(answer.get("code"), "node", nonce, str(rank))
    ):
        raise RefusedError("what connected does not hold the run's secret")
    admit(rank)
    _send_line(connection, {"code": secret.code("leader", theirs)})
    return rank


def greet_leader(connection: socket.socket, secret: RunSecret, rank: int) -> None:
    """Prove to the leader which node this is, and check that it is the run's leader.

    Raises:
        RefusedError: the other end does not hold the run's secret, or refuses this machine.
    """
    nonce = secrets.token_hex(16)
    challenge = _read_line(connection).get("nonce")
    answer: dict[str, JsonValue] = {
        "rank": rank,
        "nonce": nonce,
        "code": secret.code("node", str(challenge), str(rank)),
    }
    if not secret.verifies(_exchange(connection, answer).get("code"), "leader", nonce):
        raise RefusedError("what answered does not hold the run's secret")


def _exchange(connection: socket.socket, message: dict[str, JsonValue]) -> dict[str, JsonValue]:
    _send_line(connection, message)
    return _read_line(connection)


def _send_line(connection: socket.socket, message: dict[str, JsonValue]) -> None:
    connection.settimeout(HANDSHAKE_SECONDS)
    connection.sendall(json.dumps(message).encode() + b"\n")


def _read_line(connection: socket.socket) -> dict[str, JsonValue]:
    """Read one line, byte by byte, so that the bytes after it stay for `Link`."""
    connection.settimeout(HANDSHAKE_SECONDS)
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte or len(line) > LINE_BYTES:
            raise RefusedError("it closed the connection")
        line += byte
    try:
        return _OBJECT.validate_json(line)
    except ValueError as error:
        raise RefusedError("it does not speak as a node of a run does") from error


def one_line(error: BaseException) -> str:
    """An error's message on one line, for a word to another node."""
    return " ".join(str(error).split())[:500] or type(error).__name__
