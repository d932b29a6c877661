"""Records of feedback, as a gateway's files hold them: one JSON object a line."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from cortex.limits import LEDGER_BYTES, read_file

Thumb = Literal["up", "down"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    request_id: str
    caller: str
    """Id of the API key, never the key."""


class Turn(BaseModel):
    """One message of a question."""

    model_config = ConfigDict(frozen=True)

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class AnswerRecord(_Record):
    """A request that its caller allowed to be learned from, and the answer that it got."""

    kind: Literal["answer"] = "answer"
    asked_at: AwareDatetime
    at: AwareDatetime | None = None
    """The question's own time, where it is not `asked_at`."""
    domain: str | None = None
    """Name of the domain, None for a chat."""
    form: str = ""
    """Form of the domain's questions, in words."""
    messages: tuple[Turn, ...]
    reply: str
    values: dict[str, JsonValue] = {}
    """Values of the domain's own columns."""
    model: str
    copy_: str = Field(alias="copy", serialization_alias="copy")
    manifest: str
    """Digest of the release's manifest."""
    arm: str | None = None
    """The router's choice that led to this model."""
    consent: Literal["train"] = "train"

    @property
    def fingerprint(self) -> str:
        """Hash of what was asked and answered: two requests under one id differ in it."""
        asked = [[turn.role, turn.content] for turn in self.messages]
        return hashlib.sha256(json.dumps([asked, self.reply, str(self.at)]).encode()).hexdigest()[:32]


class FeedbackRecord(_Record):
    """Something that a caller posted about an answer."""

    kind: Literal["feedback"] = "feedback"
    posted_at: AwareDatetime
    thumb: Thumb | None = None
    better: str | None = None
    """A reply that the caller would rather have had."""
    outcome: JsonValue = None
    known_at: AwareDatetime | None = None
    """The time from which the outcome was known."""
    comment: str | None = None
    """Words for people. No dataset holds them."""


class WithdrawalRecord(_Record):
    """A caller's consent, taken back."""

    kind: Literal["withdrawal"] = "withdrawal"
    posted_at: AwareDatetime


Record = AnswerRecord | FeedbackRecord | WithdrawalRecord

_ANY: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="kind")])


def to_line(record: Record) -> bytes:
    """A record as a line."""
    return record.model_dump_json(exclude_none=True, by_alias=True).encode() + b"\n"


def read_records(data: bytes) -> Iterator[Record | None]:
    """The records of a file's bytes in their order; None for a line that is none, such as one torn by a kill."""
    for line in data.splitlines(keepends=True):
        try:
            yield _ANY.validate_json(line) if line.endswith(b"\n") else None
        except ValidationError:
            yield None


def read_record_file(file: Path) -> list[Record | None]:
    """The records of a file, as `read_records`.

    Raises:
        OSError: it cannot be read.
        TooLargeError: no gateway wrote a file of this size.
    """
    return list(read_records(read_file(file, LEDGER_BYTES)))
