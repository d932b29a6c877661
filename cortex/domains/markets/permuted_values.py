"""Questions among which the values of one feature are exchanged, and reasonings that do or do not follow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from cortex.domains.example_columns import read_rows
from cortex.domains.markets.config import Style
from cortex.domains.markets.grounding import readings
from cortex.domains.markets.prompt_sheet import Sheet
from cortex.domains.probe import Probe, Reaction
from cortex.domains.probe_rows import with_last_turn


@dataclass(frozen=True)
class PermutedProbe(Probe):
    """A question with one feature's value from another question."""

    old: str = ""
    new: str = ""

    def react(self, reply: str, usual: str | None) -> Reaction:
        """Find the feature by its name in the reasoning: only `name: value` counts as a citation of it."""
        if self.old == self.new:
            return Reaction()
        cited = readings(reply.partition("</think>")[0]).get(self.variant)
        return Reaction(names_new=cited == float(self.new), cites_old=cited == float(self.old))


def permuted_probes(rows: pl.DataFrame, features: Sequence[str], style: Style, seed: int) -> list[Probe]:
    """For each feature, every question with the value of the next one, in an order drawn at random."""
    known = [(example, Sheet.read(example.text, style)) for example in read_rows(rows)]
    asked = [(example, sheet) for example, sheet in known if sheet]
    probes: list[Probe] = []
    for number, name in enumerate(features):
        order = np.random.default_rng([seed, number]).permutation(len(asked))
        giver = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
        for place, (example, sheet) in enumerate(asked):
            old, new = sheet.value(name), asked[giver[place]][1].value(name)
            turns = with_last_turn(example, sheet.with_value(name, new).text())
            expected = "an answer by the new value, which the reasoning names"
            probes.append(PermutedProbe("permuted", example, name, turns, expected, old=old, new=new))
    return probes
