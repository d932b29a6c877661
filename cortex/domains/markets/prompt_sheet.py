"""A market's prompt taken apart into what stands before its features, the features, and what follows them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cortex.domains.markets.config import Style

_FULL = re.compile(r"^- (?P<name>\w+) \((?P<label>[^()]*)\): (?P<value>\S+)$")
_COMPACT = re.compile(r"^(?P<name>\w+):(?P<value>\S+)$")


@dataclass(frozen=True)
class Entry:
    """One feature of a prompt."""

    name: str
    label: str
    """Its name in words and its unit, in a full prompt."""
    value: str


@dataclass(frozen=True)
class Sheet:
    """The parts of one prompt."""

    style: Style
    head: str
    entries: tuple[Entry, ...]
    tail: str

    @classmethod
    def read(cls, prompt: str, style: Style) -> "Sheet | None":
        """Take a prompt apart; None where `text` would not give it back, or there are no features."""
        between, form = (" ", _COMPACT) if style == "compact" else ("\n", _FULL)
        pieces = prompt.split(between)
        matches = [form.match(piece) for piece in pieces]
        places = [place for place, match in enumerate(matches) if match]
        if not places:
            return None
        first, last = places[0], places[-1]
        entries = tuple(
            Entry(match["name"], match.groupdict().get("label") or "", match["value"]) for match in matches if match
        )
        sheet = cls(style, between.join(pieces[:first]), entries, between.join(pieces[last + 1 :]))
        return sheet if sheet.text() == prompt else None

    def text(self) -> str:
        """The prompt."""
        if self.style == "compact":
            words = [f"{entry.name}:{entry.value}" for entry in self.entries]
            return " ".join([self.head, *words, *([self.tail] if self.tail else [])])
        lines = [f"- {entry.name} ({entry.label}): {entry.value}" for entry in self.entries]
        return "\n".join([self.head, *lines, *([self.tail] if self.tail else [])])

    def value(self, name: str) -> str:
        """The value of a feature, as the prompt writes it."""
        return next(entry.value for entry in self.entries if entry.name == name)

    def with_entries(self, entries: Sequence[Entry]) -> "Sheet":
        return replace(self, entries=tuple(entries))

    def with_value(self, name: str, value: str) -> "Sheet":
        """The prompt with another value of one feature."""
        return self.with_entries([replace(one, value=value) if one.name == name else one for one in self.entries])

    def without(self, name: str) -> "Sheet":
        return self.with_entries([one for one in self.entries if one.name != name])

    def with_second(self, name: str, value: str) -> "Sheet":
        """The prompt with a second value of one feature right behind the first."""
        entries: list[Entry] = []
        for one in self.entries:
            entries += [one, replace(one, value=value)] if one.name == name else [one]
        return self.with_entries(entries)

    def with_symbol(self, symbol: str, other: str) -> "Sheet":
        """The prompt with another name of the asset."""
        if self.style == "compact":
            return replace(self, head=other + self.head.removeprefix(symbol))
        return replace(self, head=self.head.replace(f": {symbol}\n", f": {other}\n"))
