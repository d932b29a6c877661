"""The base of every profile section: frozen, and an unknown key is an error that suggests the right one."""

import difflib
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A part of a profile."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _suggest(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if isinstance(key, str) and key not in cls.model_fields:
                    raise ValueError(unknown_key(key, list(cls.model_fields)))
        return values


def unknown_key(key: str, known: list[str]) -> str:
    """What to say of a key that is not there: the nearest that is, or all of them."""
    return f"unknown key {key!r}: {nearest(key, known)}"


def nearest(word: str, known: Collection[str]) -> str:
    """What to say after a word that is not known."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
