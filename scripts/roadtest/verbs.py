"""Calls of the kit's verbs as programs: their output is kept, and Ctrl-C does not reach them."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cortex.errors import StageError, error_of
from cortex.process import running
from cortex.text import harmless

LEAST = 5.0
"""Least seconds for a program, even if its step has no time left."""


@dataclass(frozen=True)
class Said:
    """Exit code and output of a program."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        """The last line that it printed, which is the error if a verb of the kit has failed."""
        lines = [line for text in (self.err, self.out) for line in text.splitlines()[::-1] if line.strip()]
        return harmless(lines[0] if lines else f"exit code {self.code}", limit=400).removeprefix("error: ")


@dataclass(frozen=True)
class Verbs:
    """Calls the kit's verbs, each in a process group of its own."""

    folder: Path
    """Folder of their output, with two files a call."""
    environment: Mapping[str, str]

    def call(self, *words: str | Path, seconds: float, **variables: str) -> str:
        """Call a verb, and return its standard output.

        Raises:
            CortexError: the verb failed, or took longer than `seconds`.
        """
        said = self.ask(*words, seconds=seconds, **variables)
        if said.code:
            raise error_of(said.code, f"`cortex {words[0]}`: {said.last_line}")
        return said.out

    def ask(self, *words: str | Path, seconds: float, **variables: str) -> Said:
        """Call a verb, and return its exit code and output. Raises StageError where it does not end in time."""
        return self.program([sys.executable, "-m", "cortex", *words], f"cortex {words[0]}", seconds, **variables)

    def program(self, command: list[str | Path], name: str, seconds: float, **variables: str) -> Said:
        """Run any program, called `name` in messages. Raises StageError where it does not end in time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number = len(list(self.folder.glob("*.out"))) + 1
        out, err = (self.folder / f"{number:03}-{name.replace(' ', '-')}.{kind}" for kind in ("out", "err"))
        with out.open("w", encoding="utf-8") as to_out, err.open("w", encoding="utf-8") as to_err:
            options = {"env": {**self.environment, **variables}, "stdout": to_out, "stderr": to_err}
            with running(command, **options) as process:  # pyright: ignore[reportArgumentType] - of three kinds
                try:
                    code = process.wait(max(seconds, LEAST))
                except subprocess.TimeoutExpired as error:
                    raise StageError(
                        f"`{name}` has not ended within {seconds:.0f} s; what it said is in {out}"
                    ) from error
        return Said(code, *(path.read_text(encoding="utf-8", errors="replace") for path in (out, err)))
