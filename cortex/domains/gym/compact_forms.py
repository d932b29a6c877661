"""Questions and answers in few tokens, for models too small to read prose."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cortex.errors import ConfigError


@dataclass(frozen=True)
class CompactForm:
    """The short form of one task."""

    question: Callable[[Mapping[str, Any]], str]
    """The prompt, from a question's metadata."""
    short: Callable[[str], str] = str
    """The answer as a model writes it, from the generator's."""
    full: Callable[[str], str] = str
    """The answer as the verifier reads it, from a model's."""


def _board(metadata: Mapping[str, Any]) -> str:
    return "\n".join("".join(str(cell or "_") for cell in row) for row in metadata["puzzle"])


def _spaced(board: str) -> str:
    return "\n".join(" ".join(line) for line in board.split("\n"))


COMPACT: dict[str, CompactForm] = {
    "chain_sum": CompactForm(lambda metadata: str(metadata["expression"]).replace(" ", "")),
    "mini_sudoku": CompactForm(_board, lambda text: text.replace(" ", ""), _spaced),
    "spell_backward": CompactForm(lambda metadata: str(metadata["word"]).lower(), str.lower),
}


def compact_form(task: str) -> CompactForm:
    """A task's short form.

    Raises:
        ConfigError: it has none.
    """
    if task not in COMPACT:
        raise ConfigError(f"domain.tasks.{task} has no compact form ({', '.join(COMPACT)} have): use style: full")
    return COMPACT[task]
