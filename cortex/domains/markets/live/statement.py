"""Statements in SQL: files of `sql/`, whose parameters are written as `:name`."""

import datetime as dt
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

FOLDER = Path(__file__).resolve().parent.parent / "sql"

Value = str | dt.date | tuple[str, ...]


@dataclass(frozen=True)
class Statement:
    """A query, ready to be sent, with the columns of its answer."""

    name: str
    """The name of its file, and of its folder among the pulls."""
    text: str
    columns: Mapping[str, pl.DataType] = field(hash=False)

    def key(self, service: str) -> str:
        """The hash that names its answer: equal for equal text, columns and service."""
        columns = " ".join(f"{name} {kind}" for name, kind in self.columns.items())
        return hashlib.sha256(f"{service}\n{columns}\n{self.text}".encode()).hexdigest()[:16]


def read_statement(name: str, columns: Mapping[str, pl.DataType], **parameters: Value) -> Statement:
    """The statement of `sql/<name>.sql` with its parameters filled in.

    Raises KeyError where the file asks for a parameter that is not given.
    """
    lines = (FOLDER / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("--"))
    filled = re.sub(r"(?<!:):([a-z_]+)", lambda found: _literal(parameters[found[1]]), text)
    return Statement(name, filled, columns)


def _literal(value: Value) -> str:
    """A value as SQL: the service takes no bound parameters. An empty list matches nothing."""
    if isinstance(value, tuple):
        return ", ".join(_literal(item) for item in value) or "''"
    return "'" + str(value).replace("'", "''") + "'"
