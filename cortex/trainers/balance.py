"""Weights of KTO's losses of good and bad answers, where one kind is rarer."""

from collections.abc import Collection, Mapping
from typing import Any


def balancing_weights(labels: Collection[bool], arguments: Mapping[str, Any]) -> dict[str, float]:
    """The loss weight by which the rarer kind of answers counts as much in all as the other (Ethayarajh et al.,
    "KTO", 2024, equation 8).

    None where the arguments hold a weight already.
    """
    good = sum(labels)
    bad = len(labels) - good
    if not good or not bad or arguments.keys() & {"desirable_weight", "undesirable_weight"}:
        return {}
    return {"desirable_weight" if good < bad else "undesirable_weight": max(good, bad) / min(good, bad)}
