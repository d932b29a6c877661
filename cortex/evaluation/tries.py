"""Tries on one test set: how many models it has judged, and what each further one has to reach.

The best of twenty tries looks good by luck. Verdicts are given one by one, and nobody knows how many follow. So an
error of 5% for all of them, however many, is divided in advance: the first try has half of it, and the k-th has
1 / (k (k - 1)) of the other half. These shares add up to 1. It is Bonferroni's inequality for a sequence, and holds
however the tries depend on one another (Dunn 1961, "Multiple comparisons among means"; on sequences, Foster and Stine
2008, "Alpha-investing: a procedure for sequential control of expected false discoveries").
"""

from cortex.evaluation.confidence import Record

WORN = 20
"""From so many models on, a test set is called worn: its error is spent, and people have come to know it."""


class Tries(Record):
    """Models that one test set has judged, up to the one at hand."""

    models: int = 1
    """Different models that a verdict was about, this one among them; a resumed or repeated evaluation is no other."""

    trials: int = 1
    """Trainings among which validation chose this one, itself included. They are no tries: see docs/judging.md."""

    @property
    def share(self) -> float:
        """Share of the first try's error, 2.5% on either side, that this one may have."""
        return 1.0 if self.models == 1 else 1 / (self.models * (self.models - 1))

    @property
    def choice(self) -> str:
        """A sentence for people on the search that chose the model; empty for a model of no search."""
        if self.trials == 1:
            return ""
        others = "the other was" if self.trials == 2 else f"the {self.trials - 1} others were"
        return f"It was chosen among {self.trials} trials by validation alone: {others} not judged on the test set."

    @property
    def words(self) -> str:
        """A sentence for people; empty for the first try."""
        if self.models == 1:
            return ""
        found = f"This test set has now judged {self.models} models"
        if self.models < WORN:
            return f"{found}."
        return f"{found}, and is worn: whatever shows on it, judge again on examples that no run has seen."
