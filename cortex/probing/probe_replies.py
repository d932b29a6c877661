"""Replies to probes, as the analyses take them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cortex.domains.domain import Domain
from cortex.domains.probe import Probe, ProbeKind
from cortex.domains.question import Example
from cortex.probing.clustered import Clustered


@dataclass(frozen=True)
class ProbeReplies:
    """All replies of one run to the probes of one domain."""

    judged: str
    """Name of the model that was asked."""
    probes: Sequence[Probe]
    replies: Mapping[str, Sequence[str]]
    """A reply to each probe, by model. Others than the judged model answer the recalled probes; the rest are ""."""
    usual: Mapping[str, str]
    """The judged model's replies to the test questions, by the example's id."""
    repeated: Sequence[tuple[Example, Sequence[str]]] = field(default_factory=tuple[tuple[Example, Sequence[str]], ...])
    """Test questions, and the judged model's several replies to each."""

    def of(self, kind: ProbeKind, model: str | None = None) -> list[tuple[Probe, str]]:
        """The probes of one kind with a model's replies; by default the judged model's."""
        own = self.replies[model or self.judged]
        return [(probe, reply) for probe, reply in zip(self.probes, own, strict=True) if probe.kind == kind]


@dataclass(frozen=True)
class Stated:
    """The statement of a reply."""

    valid: bool
    loss: float
    number: float | None
    """The probability that it states, where the domain's replies state one."""

    @classmethod
    def read(cls, domain: Domain, example: Example, reply: str) -> "Stated":
        graded = domain.grade(example, reply)
        number = graded.numbers.get(domain.stated) if domain.stated else None
        return cls(graded.valid, graded.loss, number)

    @property
    def side(self) -> int:
        """1 or -1 for a probability above or below one half, 0 for one half; without one, 1 is right and -1 wrong."""
        far = self.number - 0.5 if self.number is not None else 0.5 - self.loss
        return (far > 0) - (far < 0)


def variants(pairs: Sequence[tuple[Probe, str]]) -> dict[str, list[tuple[Probe, str]]]:
    """Probes and replies by variant, in the order of their first."""
    found: dict[str, list[tuple[Probe, str]]] = {}
    for probe, reply in pairs:
        found.setdefault(probe.variant, []).append((probe, reply))
    return found


@dataclass(frozen=True)
class Lens:
    """The means of an analysis: the domain, which grades, and its examples' clusters."""

    domain: Domain
    clustered: Clustered

    def stated(self, example: Example, reply: str) -> Stated:
        return Stated.read(self.domain, example, reply)
