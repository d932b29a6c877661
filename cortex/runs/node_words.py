"""What the programs on the machines of one task say to one another: JSON lines over TCP.

Both ends show that they hold the run's secret before either believes the other. What follows is no safer than what the
trainers themselves send one another: it is for a network that is the machines' own.
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
"""Between two signs of life."""

SILENT_SECONDS = 60.0
"""A machine that gave no sign for so long is gone: one that is cut off says no farewell."""

HANDSHAKE_SECONDS = 10.0
"""How long the other end has for each of its lines until it is known."""

LINE_BYTES = 8192
"""The longest line; a reason has 500 letters."""


class _Word(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Begin(_Word):
    """From the leader: this stage is next."""

    word: Literal["begin"] = "begin"
    stage: str


class Resume(_Word):
    """From the leader: the checkpoint that everybody goes on from; none for the beginning."""

    word: Literal["resume"] = "resume"
    step: int | None
    digest: str | None
    """Of its manifest, by which every machine knows that it has the same."""
    port: Annotated[int, Field(gt=0, lt=65536)]
    """Where the leader's torchrun waits for the others."""


class Ready(_Word):
    """To the leader: everything that the trainer reads is on this machine."""

    word: Literal["ready"] = "ready"


class Go(_Word):
    """From the leader: everybody is ready; start the trainer."""

    word: Literal["go"] = "go"


class Noticed(_Word):
    """To the leader: this machine is being taken away within so many seconds."""

    word: Literal["noticed"] = "noticed"
    source: str
    text: str
    seconds: float


class Dump(_Word):
    """From the leader: the trainer hangs; have each of its processes say where."""

    word: Literal["dump"] = "dump"


class Failed(_Word):
    """To the leader: this machine's part has failed; the exit code that it would end with, and why."""

    word: Literal["failed"] = "failed"
    code: int
    reason: str


class End(_Word):
    """From the leader, the last word: its exit code, which is everybody's, and why."""

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
    """One end of a connection between two machines' programs. What comes is handed to `hear`, in threads of its own."""

    def __init__(self, connection: socket.socket, hear: Callable[[Word | None], None]) -> None:
        """`hear` is given each word but signs of life, and at the end None, once: the other end is gone."""
        self._connection, self._hear = connection, hear
        self._heard_at = time.monotonic()
        self._sending, self._closing = threading.Lock(), threading.Event()
        connection.settimeout(SILENT_SECONDS)
        for work in (self._listen, self._beat):
            threading.Thread(target=work, name="node-link", daemon=True).start()

    def send(self, word: Word) -> None:
        """Say it. An end that is gone takes nothing, and `hear` is told of that."""
        with self._sending, suppress(OSError):
            self._connection.sendall(word.model_dump_json().encode() + b"\n")

    def close(self, seconds: float = 5.0) -> None:
        """Say no more, and wait a little for the other end to have read it all."""
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
        except (OSError, ValueError):  # cut off, or it speaks as none of ours does
            pass
        finally:
            self._closing.set()
            self._hear(None)

    def _beat(self) -> None:
        while not self._closing.wait(BEAT_SECONDS):
            self.send(Beat())


def greet_follower(connection: socket.socket, secret: RunSecret, admit: Callable[[int], None]) -> int:
    """The rank of whoever has connected to the leader, which may still refuse it: `admit` raises, and it is not let in.

    Raises:
        RefusedError: it does not hold the run's secret, or does not answer.
    """
    nonce = secrets.token_hex(16)
    answer = _exchange(connection, {"nonce": nonce})
    rank, theirs = answer.get("rank"), answer.get("nonce")
    if not (
        isinstance(rank, int) and isinstance(theirs, str) and secret.made(answer.get("code"), "node", nonce, str(rank))
    ):
        raise RefusedError("what connected does not hold the run's secret")
    admit(rank)
    _say(connection, {"code": secret.code("leader", theirs)})
    return rank


def greet_leader(connection: socket.socket, secret: RunSecret, rank: int) -> None:
    """Show the leader who this is, and see that it is the leader.

    Raises:
        RefusedError: it does not hold the run's secret, or does not take this machine.
    """
    nonce = secrets.token_hex(16)
    challenge = _read(connection).get("nonce")
    answer: dict[str, JsonValue] = {
        "rank": rank,
        "nonce": nonce,
        "code": secret.code("node", str(challenge), str(rank)),
    }
    if not secret.made(_exchange(connection, answer).get("code"), "leader", nonce):
        raise RefusedError("what answered does not hold the run's secret")


def _exchange(connection: socket.socket, told: dict[str, JsonValue]) -> dict[str, JsonValue]:
    _say(connection, told)
    return _read(connection)


def _say(connection: socket.socket, told: dict[str, JsonValue]) -> None:
    connection.settimeout(HANDSHAKE_SECONDS)
    connection.sendall(json.dumps(told).encode() + b"\n")


def _read(connection: socket.socket) -> dict[str, JsonValue]:
    """One line, byte by byte: what follows it is for whoever listens next."""
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
    """An error in one line, as a word to another node takes it."""
    return " ".join(str(error).split())[:500] or type(error).__name__
