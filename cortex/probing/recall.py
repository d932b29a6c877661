"""Recall: replies to questions from memory alone, against the truths of other dates.

A reply is graded against its own question's truth, and against those of all others of its group, such as one asset's
other dates. A model that knows nothing of the dates loses as much by the one as by the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cortex.domains.probe import Probe
from cortex.evaluation.chapter import Cell
from cortex.evaluation.grades import Floats
from cortex.probing.clustered import SHARE, is_above
from cortex.probing.probe_replies import Lens


@dataclass(frozen=True)
class Recall:
    """Recall of one set of questions by one model."""

    count: int
    readable: Cell
    others: Cell
    """Mean loss with the truths in each other's place: by chance alone."""
    saved: Cell
    """Mean loss that the right truths save of that."""

    @property
    def is_known(self) -> bool:
        """The interval of what is saved lies above 0."""
        return is_above(self.saved)

    @classmethod
    def of(cls, pairs: Sequence[tuple[Probe, str]], lens: Lens) -> "Recall":
        """Measure recall; groups of a single readable question tell nothing, and are left out."""
        groups: dict[str, list[tuple[Probe, str]]] = {}
        for probe, reply in pairs:
            groups.setdefault(probe.group, []).append((probe, reply))
        ids: list[str] = []
        saved: list[float] = []
        others: list[float] = []
        for group in groups.values():
            losses = _losses(group, lens)
            if losses is None:
                continue
            ids += [probe.example.id for probe, _ in group]
            saved += _saved(losses).tolist()
            others += _others(losses).tolist()
        read = [float(lens.stated(probe.asked, reply).valid) for probe, reply in pairs]
        mean = lens.clustered.mean
        return cls(
            count=len(pairs),
            readable=mean([probe.example.id for probe, _ in pairs], read, SHARE),
            others=mean(ids, others),
            saved=mean(ids, saved),
        )

    def cells(self) -> list[Cell]:
        return [Cell(value=self.count), self.readable, self.others, self.saved]


def _losses(group: Sequence[tuple[Probe, str]], lens: Lens) -> Floats | None:
    """The loss of each reply by each truth (N x N); None where fewer than two can be read.

    A reply that cannot be read loses as the others do on average: it neither knows nor is wrong.
    """
    truths = [probe.example.truth for probe, _ in group]
    valid = np.array([lens.stated(probe.asked, reply).valid for probe, reply in group])
    if valid.sum() < 2:
        return None
    known: dict[str, list[float]] = {}
    for probe, reply in group:
        if reply not in known:
            asked = probe.asked
            known[reply] = [lens.domain.grade(replace(asked, truth=truth), reply).loss for truth in truths]
    losses = np.array([known[reply] for _, reply in group])
    losses[~valid] = losses[valid].mean(axis=0)
    return losses


def _saved(losses: Floats) -> Floats:
    """Loss that each question's own truth saves (N), by double centring; its mean is that of all others less its own.

    Centred, the constant parts of the replies and of the truths leave no noise: for squared errors these are
    2 (p - mean p)(y - mean y) N / (N - 1), whose mean is twice the covariance of statement and truth.
    """
    count = len(losses)
    centred = losses.mean(axis=1) + losses.mean(axis=0) - losses.mean() - np.diag(losses)
    # Of replies that are all alike, sums leave a rest of 1e-16, whose interval would lie above zero.
    return np.round(centred * count / (count - 1), 12)


def _others(losses: Floats) -> Floats:
    """Mean loss of each reply by the truths of the others (N)."""
    return (losses.sum(axis=1) - np.diag(losses)) / (len(losses) - 1)
