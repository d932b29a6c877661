"""Probes: variants of an example's question, which show how a model's answers hang on what it is told."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Literal

from cortex.domains.question import Conversation, Example

ProbeKind = Literal["reworded", "permuted", "odd", "recalled"]
"""The same question in other words; with one feature's value taken from another example; with something wrong in what
is known; and without anything but its date, or what else a model could know it by."""

Manner = Literal["says so", "abstains", "goes on", "invents", "obeys", "unreadable", "cannot be told"]
"""Ways in which a reply meets an odd input: it names what is odd; it states nothing though it usually would; it answers
as if nothing were odd; it cites what is not there; it does what the input tells it to; it cannot be read. The last is
for a reply that might as well be the model's usual one."""

MANNERS: tuple[Manner, ...] = ("says so", "abstains", "goes on", "invents", "obeys", "unreadable", "cannot be told")


@dataclass(frozen=True)
class Reaction:
    """The way in which a reply takes its probe, as far as the domain can tell."""

    manner: Manner | None = None
    """For odd probes."""
    names_new: bool | None = None
    """For permuted probes: the reasoning cites the new value; None where it equals the old one."""
    cites_old: bool | None = None
    """For permuted probes: the reasoning cites the value that is no longer there; None where both are equal."""


@dataclass(frozen=True)
class Probe:
    """One question to ask, made of an example. A domain overrides `react` where it can read a reply's reasoning."""

    kind: ProbeKind
    example: Example
    """The original, with its truth."""
    variant: str
    """The change, in a few words, such as a feature's name: probes of a variant are counted together."""
    messages: Conversation
    expected: str
    """A sound model's answer, in words for people."""
    group: str = ""
    """For recalled probes: examples of one group may exchange their truths, such as those of one asset."""
    at: dt.datetime | None = None
    """For recalled probes: the time that the question is about."""

    @property
    def asked(self) -> Example:
        """The original as the probe asks it, for grades."""
        return replace(self.example, messages=self.messages)

    def react(self, reply: str, usual: str | None) -> Reaction:
        """Read a reply. `usual` is the same model's reply to the original; None where that was not asked."""
        return Reaction()
