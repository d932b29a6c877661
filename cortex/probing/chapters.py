"""The chapters that further questions make of an evaluation."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from cortex.domains.domain import Domain
from cortex.domains.probe_section import ProbeCounts
from cortex.evaluation.chapter import Chapter
from cortex.evaluation.study import Study
from cortex.probing.clustered import Clustered
from cortex.probing.consistency import consistency
from cortex.probing.contamination import Cutoff, contamination
from cortex.probing.odd_inputs import odd_inputs
from cortex.probing.probe_replies import Lens, ProbeReplies
from cortex.probing.sensitivity import sensitivity


@dataclass(frozen=True)
class Probed:
    """One domain's probes with all replies, and what their analysis needs."""

    domain: Domain
    asked: ProbeReplies
    train: pl.DataFrame
    test: pl.DataFrame
    counts: ProbeCounts
    cutoff: dt.date | None
    from_nothing: bool

    def chapters(self, study: Study) -> list[Chapter]:
        """The chapters, of which each is left out where nothing was asked for it."""
        examples = pl.concat([self.train, self.test.select(self.train.columns)])
        lens = Lens(
            self.domain,
            Clustered(self.domain, examples, resamples=len(study.resamples.counts), seed=study.seed),
        )
        found = (
            consistency(self.asked, lens, self.counts.temperature),
            sensitivity(self.asked, lens),
            odd_inputs(self.asked, lens),
            contamination(self.asked, lens, study, self.test, Cutoff(self.cutoff, self.from_nothing)),
        )
        return [chapter for chapter in found if chapter is not None]


def with_chapters(
    own: Callable[[Study], list[Chapter]], probed: Probed | None, debated: Callable[[Study], list[Chapter]]
) -> Callable[[Study], list[Chapter]]:
    """A domain's own chapters, and behind them those of its probes and of its debates."""
    return lambda study: [*own(study), *(probed.chapters(study) if probed else ()), *debated(study)]
