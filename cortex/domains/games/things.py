"""A small world of things with attributes, what is known of one of them, and an oracle that answers yes or no."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from cortex.domains.turn_form import Style, read_turn

Attributes = Mapping[str, Sequence[str]]
"""Values by attribute. A thing has one value of each; no two attributes have a value in common."""

Exchange = tuple[str, str]
"""A reply with the oracle's words after it."""


@dataclass(frozen=True)
class World:
    """All things, each named by its values in the attributes' order, and the form of what is said."""

    attributes: Attributes
    style: Style

    def things(self) -> list[str]:
        """The name of every thing."""
        return [" ".join(values) for values in product(*self.attributes.values())]

    def asked(self, reply: str) -> str | None:
        """The value that a reply asks about; None where it is no question of this world."""
        turn = read_turn(reply, self.style) or ""
        value = turn.removesuffix("?").strip()
        return value if turn.endswith("?") and any(value in values for values in self.attributes.values()) else None

    def guessed(self, reply: str) -> str | None:
        """The thing that a reply guesses; None where it names none."""
        words = (read_turn(reply, self.style) or "").split(" ")
        return " ".join(words) if self._names_a_thing(words) else None

    def candidates(self, exchanges: Iterable[Exchange]) -> list[list[str]]:
        """The values of each attribute that the oracle's answers have left."""
        left = [list(values) for values in self.attributes.values()]
        for reply, told in exchanges:
            value = self.asked(reply)
            yes = told.lower().startswith("yes")
            for values in left:
                if value in values:
                    values[:] = [value] if yes else [other for other in values if other != value]
        return left

    def _names_a_thing(self, words: Sequence[str]) -> bool:
        attributes = list(self.attributes.values())
        return len(words) == len(attributes) and all(map(lambda word, values: word in values, words, attributes))


def answer(secret: str, value: str) -> str:
    """The oracle's answer to a question about a value."""
    return "yes" if value in secret.split(" ") else "no"
