"""Quantized copies: which an export made, how close each came to the full weights, and which were accepted."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cortex.market.outcomes import is_up
from cortex.reasoning.protocol import ProtocolError, parse_answer
from cortex.runs.profile import Gptq

SUMMARY = "export.json"


@dataclass(frozen=True)
class QuantizedCopy:
    """A quantized copy, measured against the full weights on held-out examples."""

    name: str
    bits: int
    kl: float
    """Mean divergence of next-token distributions over the full weights' own answers, in nats."""
    brier: float
    brier_of_full: float
    accepted: bool
    reason: str


def judge_copy(
    name: str,
    wanted: Gptq,
    kl: float,
    *,
    answers: Sequence[str],
    answers_of_full: Sequence[str],
    outcome: NDArray[np.float64],
) -> QuantizedCopy:
    """Accept a copy that is no further from the full weights than the profile's bounds; just at a bound is within it.

    Both sets of answers are to the same N held-out examples, whose outcomes are fractions.
    """
    brier, full = mean_brier(answers, outcome), mean_brier(answers_of_full, outcome)
    faults = [
        f"{what} {value:.2g} is over the bound {bound:g}"
        for what, value, bound in (
            ("divergence", kl, wanted.max_kl),
            ("rise of the Brier score", brier - full, wanted.max_brier_loss),
        )
        if not value <= bound  # so that NaN is over any bound
    ]
    reason = "; ".join(faults) or f"divergence {kl:.2g}, Brier score {brier:.4f} against {full:.4f}"
    return QuantizedCopy(name, wanted.bits, kl, brier, full, not faults, reason)


def mean_brier(answers: Sequence[str], outcome: NDArray[np.float64]) -> float:
    """The mean Brier score of N answers; one that cannot be read counts as one half."""
    return float(np.mean((np.array([_p_up(text) for text in answers]) - is_up(outcome)) ** 2))


def write_copies(copies: Sequence[QuantizedCopy], folder: Path) -> None:
    """Record the copies that were made, the rejected ones too."""
    (folder / SUMMARY).write_text(
        json.dumps({"copies": [asdict(copy) for copy in copies]}, indent=1) + "\n", encoding="utf-8"
    )


def accepted_copies(folder: Path) -> list[str]:
    """The folders of an export artifact that hold accepted copies."""
    return [
        copy["name"]
        for copy in json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["copies"]
        if copy["accepted"]
    ]


def _p_up(text: str) -> float:
    try:
        return parse_answer(text).p_up
    except ProtocolError:
        return 0.5
