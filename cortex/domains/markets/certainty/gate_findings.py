"""Findings of all gates about some contenders, with one correction for all that were tried."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from statsmodels.stats.multitest import multipletests

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.domains.markets.certainty.certainty_gate import CannotTellError, Kept, Replaced
from cortex.domains.markets.certainty.combined_gate import combine
from cortex.domains.markets.certainty.gate_bench import Bench, Saving
from cortex.domains.markets.certainty.gate_list import INTERVAL_GATES, KEEPING_GATES
from cortex.evaluation.bootstrap import LEVEL

COMBINED = "Combined score"


@dataclass(frozen=True)
class GateFinding:
    """One gate's decisions about one contender, judged."""

    title: str
    """Title of the gate."""
    library: str
    contender: str
    replaces: bool
    """The gate states other intervals, and abstains from nothing."""
    measured: str = ""
    refusal: str = ""
    """The reason why nothing can be told; empty where there is a saving."""
    saving: Saving | None = None
    adjusted: float = 1.0
    """p value after Holm's correction for every saving of the chapter."""

    @property
    def buys(self) -> bool:
        """The gate saves error beyond chance: at most 5% for any of all gates, if none did (Holm 1979)."""
        return self.saving is not None and self.adjusted < 1 - LEVEL


def find_all(cases: Sequence[Case], bench: Bench) -> list[GateFinding]:
    """Judge every gate on every case, and correct their p values together."""
    found = [finding for case in cases for finding in _of_case(case, bench)]
    chances = [finding.saving.chance for finding in found if finding.saving is not None]
    adjusted = iter(np.asarray(multipletests(chances, method="holm")[1]).tolist() if chances else [])
    return [replace(each, adjusted=next(adjusted)) if each.saving is not None else each for each in found]


def _of_case(case: Case, bench: Bench) -> list[GateFinding]:
    found, votes = list[GateFinding](), list[Kept]()
    for gate in (*INTERVAL_GATES, *KEEPING_GATES):
        replaces = gate in INTERVAL_GATES
        try:
            decided = gate.decide(case)
        except CannotTellError as refusal:
            found.append(GateFinding(gate.title, gate.library, case.name, replaces, refusal=str(refusal)))
            continue
        if isinstance(decided, Kept):
            votes.append(decided)
        found.append(_judged(gate.title, gate.library, case, decided, bench))
    return [*found, _vote(case, votes, bench)]


def _vote(case: Case, votes: list[Kept], bench: Bench) -> GateFinding:
    try:
        return _judged(COMBINED, "own", case, combine(votes), bench)
    except CannotTellError as refusal:
        return GateFinding(COMBINED, "own", case.name, False, refusal=str(refusal))


def _judged(title: str, library: str, case: Case, decided: Kept | Replaced, bench: Bench) -> GateFinding:
    replaces = isinstance(decided, Replaced)
    try:
        saving = bench.judge_kept(case, decided) if isinstance(decided, Kept) else bench.judge_replaced(case, decided)
    except CannotTellError as refusal:
        return GateFinding(title, library, case.name, replaces, decided.measured, str(refusal))
    return GateFinding(title, library, case.name, replaces, decided.measured, saving=saving)
