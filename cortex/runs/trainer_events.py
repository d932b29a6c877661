"""Typed events from a trainer to its supervisor, one JSON line each, over a named pipe.

They do not go through the trainer's output, where a model's completion or a line of the data could look like an event.
A named pipe reaches every rank: launchers such as torchrun pass environment variables on, but close open files.
"""

import os
import select
import time
from collections.abc import Generator, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from loguru import logger
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    TypeAdapter,
    ValidationError,
)

PIPE_VARIABLE = "CORTEX_EVENTS_PIPE"
"""Environment variable with the pipe's path."""

LEAVE_VARIABLE = "CORTEX_LEAVE_FILE"
"""Environment variable with the path of a file that appears when the trainer has to save and leave."""

REASON_LENGTH = 500
"""Characters of an event's texts at most: in any script it stays below 4096 bytes, which a pipe takes atomically."""

LINE_BYTES = 4096
"""Bytes that a pipe takes in one atomic write (PIPE_BUF)."""

RESERVED = frozenset({"time", "epoch", "event", "step", "total"})
"""Keys of the ledger's own entries, which no metric may use as its name."""

MAX_LINE = 65536
"""Bytes without an end of line after which the content of the pipe is no event."""

PIPE_BYTES = 2**20
"""The most bytes that a pipe holds (`/proc/sys/fs/pipe-max-size`): one read empties it."""


def _unreserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name} is no metric")
    return name


Step = Annotated[int, Field(ge=0, lt=2**53)]
Metric = Annotated[str, Field(pattern=r"^[!-~]{1,100}$"), AfterValidator(_unreserved)]
"""A metric's name, as trainers write it: `completions/mean_length`."""
Values = Annotated[dict[Metric, FiniteFloat], Field(max_length=128)]
Reason = Annotated[str, BeforeValidator(lambda text: text[:REASON_LENGTH] if isinstance(text, str) else text)]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Started(_Told):
    """A rank begins to train, at `step` of `total`."""

    event: Literal["started"] = "started"
    rank: Annotated[int, Field(ge=0)]
    pid: Annotated[int, Field(gt=1)]
    step: Step
    total: Step


class Stepped(_Told):
    """A step was made."""

    event: Literal["step"] = "step"
    step: Step


class Progressed(_Told):
    """Metrics of a step, or a part of them: see `measured`."""

    event: Literal["progress"] = "progress"
    step: Step
    total: Step
    values: Values


class Validating(_Told):
    """A validation on held-out examples begins."""

    event: Literal["validating"] = "validating"
    step: Step


class Validated(_Told):
    """A validation's metrics; the best checkpoint is the one with the highest `score`."""

    event: Literal["validated"] = "validated"
    step: Step
    score: FiniteFloat | None
    values: Values


class Stopped(_Told):
    """The trainer stops before its last step."""

    event: Literal["stopped"] = "stopped"
    step: Step
    reason: Reason


class MisledBy(_Told):
    """The reward rose from one validation to a later one while the truth fell, both beyond chance."""

    event: Literal["misled"] = "misled"
    since: Step
    step: Step
    reward_before: FiniteFloat
    reward_after: FiniteFloat
    truth_before: FiniteFloat
    truth_after: FiniteFloat


class Chosen(_Told):
    """The weights of this step become the model."""

    event: Literal["chosen"] = "chosen"
    step: Step
    score: FiniteFloat


class Saving(_Told):
    """The checkpoint of a step is being written."""

    event: Literal["saving"] = "saving"
    step: Step


class Saved(_Told):
    """The checkpoint of a step is complete, with the files of every rank."""

    event: Literal["saved"] = "saved"
    step: Step


class Left(_Told):
    """The trainer saved this step and ends, as asked. (A launcher of several ranks hides the trainer's exit code.)"""

    event: Literal["left"] = "left"
    step: Step


class Waiting(_Told):
    """The trainer waits, for a reason that may pass."""

    event: Literal["waiting"] = "waiting"
    reason: Reason


class Failed(_Told):
    """The trainer ends itself; `reason` is a message for the user."""

    event: Literal["failed"] = "failed"
    reason: Reason


Event = Annotated[
    Started
    | Stepped
    | Progressed
    | Validating
    | Validated
    | Stopped
    | MisledBy
    | Chosen
    | Saving
    | Saved
    | Left
    | Waiting
    | Failed,
    Field(discriminator="event"),
]

_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def emit(event: Event) -> None:
    """Send an event to the supervisor in one write, so that ranks' events do not mix. Without a supervisor, do nothing.

    Raises:
        OSError: the supervisor is gone.
    """
    pipe = _pipe()
    if pipe is not None:
        os.write(pipe, event.model_dump_json().encode() + b"\n")


def measured(step: int, total: int, values: Mapping[str, float]) -> Iterator[Progressed]:
    """Split the metrics of a step into events, each small enough for one atomic write."""
    part: dict[str, float] = {}
    for name, value in values.items():
        if (
            part
            and len(Progressed(step=step, total=total, values={**part, name: value}).model_dump_json()) >= LINE_BYTES
        ):
            yield Progressed(step=step, total=total, values=part)
            part = {}
        part[name] = value
    if part:
        yield Progressed(step=step, total=total, values=part)


class EventPipe:
    """The supervisor's end: makes the pipe, and reads the events of all ranks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
        # Opened for writing, too: otherwise reading would end whenever no rank has the pipe open.
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._rest = b""

    def __enter__(self) -> "EventPipe":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._pipe)
        self.path.unlink(missing_ok=True)

    def is_held_by(self, pid: int) -> bool:
        """True while process `pid`, other than this one, has the pipe open, as a rank that sent an event does."""
        ours = os.fstat(self._pipe)
        folder = Path(f"/proc/{pid}/fd")
        try:
            return pid != os.getpid() and any(os.path.samestat(ours, file.stat()) for file in folder.iterdir())
        except OSError:  # it has ended, or belongs to another user
            return False

    def read(self, seconds: float) -> Generator[Event]:
        """The events that arrive within so many seconds. Other lines are skipped with a warning."""
        end = time.monotonic() + seconds
        while select.select([self._pipe], [], [], max(0.0, end - time.monotonic()))[0]:
            *lines, rest = (self._rest + os.read(self._pipe, PIPE_BYTES)).split(b"\n")
            self._rest = rest if len(rest) < MAX_LINE else b""
            for line in lines:
                try:
                    yield _EVENT.validate_json(line)
                except ValidationError as error:
                    fault = error.errors(include_url=False)[0]
                    logger.warning(f"the trainer told {line[:80]!r}, which is no event: {fault['msg']}")
            if time.monotonic() >= end:
                return


@cache
def _pipe() -> int | None:
    """This process's end of the pipe."""
    path = os.environ.get(PIPE_VARIABLE)
    if not path:
        return None
    # Non-blocking: with a supervisor that is gone, opening fails instead of waiting for ever.
    pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(pipe, True)
    return pipe
