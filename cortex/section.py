"""The base of every profile section: frozen, and an unknown key is an error that suggests the right one."""

import datetime as dt
import difflib
import re
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from cortex.paths import expand, expand_path

Item = TypeVar("Item")


def _read_date(value: object) -> object:
    """A day from its text. A number, which pydantic would take for seconds since 1970, is returned unchanged."""
    if isinstance(value, str):
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            raise ValueError("write a day as YYYY-MM-DD")
        return dt.date.fromisoformat(value)
    return value


def _read_list(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Date = Annotated[dt.date, BeforeValidator(_read_date)]
"""A day, written YYYY-MM-DD."""

Items = Annotated[tuple[Item, ...], BeforeValidator(_read_list)]
"""A list, frozen."""

UserPath = Annotated[Path, BeforeValidator(expand_path)]
"""A path, in which `~` and `$NAME` stand for what they do in a shell."""


def _expand_folder(value: object) -> object:
    return expand(value) if isinstance(value, str) and value.startswith(("~", "$", "/", ".")) else value


NameOrFolder = Annotated[str, BeforeValidator(_expand_folder)]
"""A name, or a path in which `~` and `$NAME` stand for what they do in a shell."""


class UnknownKeyError(ValueError):
    """A section has no such key; the message suggests the nearest one."""

    def __init__(self, key: str, known: list[str]) -> None:
        super().__init__(unknown_key(key, known))
        self.key = key


class Section(BaseModel):
    """A part of a profile. A value must be of the field's own kind: `true` is no number, and `"3"` neither."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _suggest(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if isinstance(key, str) and key not in cls.model_fields:
                    raise UnknownKeyError(key, list(cls.model_fields))
        return values


def unknown_key(key: str, known: list[str]) -> str:
    """The message about an unknown key: it suggests the nearest known one, or lists them all."""
    return f"unknown key {key!r}: {nearest(key, known)}"


def nearest(word: str, known: Collection[str]) -> str:
    """The suggestion after an unknown word: the nearest known one, or all of them."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
