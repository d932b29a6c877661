"""The judged answers, as an analysis of them takes them."""

from collections.abc import Mapping
from dataclasses import dataclass

from cortex.evaluation.bootstrap import Resamples
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.grades import Grades


@dataclass(frozen=True, eq=False)
class Study:
    """Every contender's grades of the same N test examples."""

    contenders: Mapping[str, Grades]
    """Models in the order of their training, then baselines."""
    models: tuple[str, ...]
    judged: str
    """The model that the verdict is about."""
    clusters: Clusters
    resamples: Resamples
    """Resamples of the clusters, for intervals that are paired with all others of the evaluation."""
    seed: int
    tries: int = 1
    """Different models that the test set has judged, this evaluation's among them."""

    @property
    def baselines(self) -> tuple[str, ...]:
        return tuple(name for name in self.contenders if name not in self.models)
