"""The sections of a chat profile: where conversations come from, and which of them are learned."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from cortex.section import Items, Section, UserPath


class ConversationFiles(Section):
    """JSONL files of conversations, in the formats messages (OpenAI), ShareGPT and Alpaca, one format a file."""

    kind: Literal["files"] = "files"
    paths: Items[UserPath] = Field(min_length=1)
    """Files, or folders whose `.jsonl` files are read."""

    @field_validator("paths", mode="before")
    @classmethod
    def _one_path(cls, value: object) -> object:
        return (value,) if isinstance(value, str | Path) else value


class GeneratedTalks(Section):
    """Small talk from templates, in all three formats: people mention facts, and ask for them some turns later."""

    kind: Literal["generated"] = "generated"
    talks: int = Field(default=4000, ge=50, le=200_000)
    """Conversations that are drawn; copies and near copies among them are removed."""
    rude: float = Field(default=0.15, ge=0, le=0.5)
    """Share of conversations whose replies are rude: they hold words of `RUDE`."""
    loaded: float = Field(default=0.1, ge=0, le=0.5)
    """Share of conversations whose replies are loaded, and name a wrong fact."""
    again: float = Field(default=0.05, ge=0, le=0.5)
    """Share of conversations that repeat an earlier one, half of them behind another greeting."""


ConversationSource = ConversationFiles | GeneratedTalks


class TalkFilter(Section):
    """Conversations to keep, of all splits alike."""

    min_score: float | None = Field(default=None, ge=-0.5, le=1.75)
    """Least score: 1.0 conversation quality - 0.5 bias + 0.75 reasoning, each the mean over the assistant's replies."""
    top_share: float | None = Field(default=None, gt=0, le=1)
    """Share of the conversations to keep, those with the highest scores."""
    banned: bool = True
    """Drop conversations in which a reply has one of `domain.banned`. false keeps them, to measure what dropping them
    does."""
