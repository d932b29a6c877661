"""A domain's texts for the card of its dataset: whose its examples are, on what terms, and what they cannot show."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SourceTerms:
    """A source of examples, and the terms of its use as far as they are known."""

    name: str
    terms: str
    """Sentences for people; never a promise that the terms allow a use."""


@dataclass(frozen=True)
class DataWords:
    """A domain's texts for the card of its dataset."""

    what: str
    """A sentence on what an example is."""
    sources: tuple[SourceTerms, ...]
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    """Meaning of the domain's own columns, as far as it is not told by their names."""
    limits: tuple[str, ...] = ()
    """Limits besides those of every dataset."""
    tags: tuple[str, ...] = ()


def unknown_terms(source: Mapping[str, object]) -> SourceTerms:
    """The terms of a source of which nothing is known but its name."""
    return SourceTerms(str(source.get("name", "unnamed")), "Its terms are not known here: ask its owner.")
