"""Breaks: points at which a program stops so that the drill can kill it there, passed in an environment variable."""

import io
import json
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

VARIABLE = "CORTEX_DRILL_BREAK"


@dataclass(frozen=True)
class Break:
    """An event at which the first program that meets it stops, once."""

    at: Literal["writes", "renames", "says"]
    """The event: a file is opened for writing, a path is renamed, or a line is printed or sent as an event."""
    what: str
    """A regular expression for the path (a rename's target), or for the line."""
    marker: str
    """The file that appears when the program stops. It goes on once a file named `<marker>.go` exists."""

    @property
    def reached(self) -> bool:
        return Path(self.marker).exists()

    def go_on(self) -> None:
        Path(f"{self.marker}.go").touch()

    def variables(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self))}


def install() -> None:
    """Install the break that the environment variable describes, if there is one."""
    told = os.environ.get(VARIABLE)
    if told is None:
        return
    one = Break(**json.loads(told))
    if not one.reached:
        if one.at == "says":
            sys.stdout = _Watched(one)
            os.write = _watched_write(one)
        else:
            sys.addaudithook(lambda event, values: _audit(one, event, values))


def _audit(one: Break, event: str, values: tuple[Any, ...]) -> None:
    if event == "open" and one.at == "writes":
        path, mode = values[0], values[1]
        if isinstance(path, str | os.PathLike) and isinstance(mode, str) and "w" in mode:
            _stop_at(one, os.fspath(path))
    elif event == "os.rename" and one.at == "renames":
        _stop_at(one, os.fspath(values[1]))


class _Watched(io.TextIOWrapper):
    """Standard output that stops after a line."""

    def __init__(self, one: Break) -> None:
        super().__init__(io.FileIO(1, "w", closefd=False), write_through=True)
        self._one, self._line = one, ""

    def write(self, text: str) -> int:
        written = super().write(text)
        self._line += text
        if "\n" in text:
            line, self._line = self._line, ""
            self.flush()
            _stop_at(self._one, line)
        return written


def _watched_write(one: Break) -> Callable[[int, bytes], int]:
    """`os.write` that stops after a line."""
    write = os.write

    def write_and_stop(file: int, data: bytes) -> int:
        written = write(file, data)
        _stop_at(one, bytes(data).decode(errors="replace"))
        return written

    return write_and_stop


def _stop_at(one: Break, found: str | bytes) -> None:
    if one.reached or not isinstance(found, str) or not re.search(one.what, found):
        return
    with suppress(FileExistsError), Path(one.marker).open("x", encoding="utf-8"):
        while not Path(f"{one.marker}.go").exists():
            time.sleep(0.01)
