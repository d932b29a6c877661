"""Runs side by side in one domain: their scores, and the paired difference of their losses on the same questions."""

from collections.abc import Sequence
from dataclasses import dataclass

from cortex.artifacts.store import Store
from cortex.errors import DataError
from cortex.evaluation.bootstrap import Resamples, compare
from cortex.evaluation.record import Comparison
from cortex.report.gathered_run import GatheredRun
from cortex.runs.escalation_inputs import JudgedRun, read_judged

_RELATIONS = {
    "beats": "{0} is better than {1}",
    "not distinguishable from": "{0} and {1} cannot be told apart",
    "worse than": "{0} is worse than {1}",
}


@dataclass(frozen=True)
class Paired:
    """The judged models of two runs on the same test questions, or the reason why they cannot be paired."""

    first: str
    second: str
    comparison: Comparison | None
    reason: str = ""

    def told(self, loss: str) -> str:
        """The result as a sentence; `loss` is the word for what was compared."""
        if self.comparison is None:
            return f"{self.first} and {self.second} are not compared question by question: {self.reason}."
        interval = self.comparison.interval
        relation = _RELATIONS[self.comparison.relation].format(self.first, self.second)
        return (
            f"{relation}: the {loss} of {self.second} less that of {self.first} is {self.comparison.difference:+z.4f}, "
            f"95% interval {interval.low:+z.4f} to {interval.high:+z.4f}, on the same test questions."
        )


def pair_runs(store: Store, runs: Sequence[GatheredRun], domain: str) -> list[Paired]:
    """The first run against each of the others, in a domain that all of them learn."""
    found: list[Paired] = []
    for other in runs[1:]:
        try:
            comparison = _compare(store, runs[0], other, domain)
            found.append(Paired(runs[0].run, other.run, comparison))
        except DataError as error:
            found.append(Paired(runs[0].run, other.run, None, str(error)))
    return found


def _compare(store: Store, first: GatheredRun, second: GatheredRun, domain: str) -> Comparison:
    """Raises DataError where the runs did not answer the same questions, or kept no answers."""
    one, other = (_judged(store, run, domain) for run in (first, second))
    if not one.questions.examples.equals(other.questions.examples):
        raise DataError("they did not answer the same test questions")
    _require_same_truths(first, second, domain)
    data = one.evaluation.data
    clusters = one.questions.clusters(max(data.span, other.evaluation.data.span))
    drawn = Resamples.draw(clusters, resamples=data.resamples, seed=data.seed)
    return compare(drawn, (first.run, one.questions.judged.grades), (second.run, other.questions.judged.grades))


def _judged(store: Store, run: GatheredRun, domain: str) -> JudgedRun:
    if domain not in run.evaluations:
        raise DataError(f"{run.run} is not evaluated")
    return read_judged(store, run.run, domain)


def _require_same_truths(first: GatheredRun, second: GatheredRun, domain: str) -> None:
    """Check that questions of the same id are the same questions: by their texts, or by the dataset's digest.

    Raises:
        DataError: they are not, or it cannot be told.
    """
    data = [run.manifests["data"].digest if "data" in run.manifests else None for run in (first, second)]
    if data[0] is not None and data[0] == data[1]:
        return
    texts = [run.transcripts.get(domain) for run in (first, second)]
    if texts[0] is None or texts[1] is None:
        raise DataError("their datasets differ, and one of them kept no transcripts to tell if the questions do")
    one, other = (table.select("id", "prompt", "truth").unique().sort("id") for table in texts if table is not None)
    if not one.equals(other):
        raise DataError("their test questions have the same ids, but other texts or truths")
