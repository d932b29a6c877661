"""Agreement of a judge with people, on answers of a teacher that people have reviewed."""

from collections.abc import Callable, Mapping, Sequence

from cortex.benchmarks.judge_questions import ask_alone, read_alone
from cortex.benchmarks.judging_session import TRIAL, ask_judge
from cortex.benchmarks.pairwise import LEAST_READABLE
from cortex.benchmarks.rubric import Rubric
from cortex.errors import DataError, StageError
from cortex.evaluation.groups import wilson
from cortex.evaluation.record import Interval, Record
from cortex.evaluation.verdict import MINIMUM_CLUSTERS
from cortex.settings import Settings
from cortex.teaching.review.agreement import agreements
from cortex.teaching.review.decisions import Decision
from cortex.teaching.review.review_items import Item

PREFIX = "the judge "
"""Begins the judge's name among the people's."""


class WithPerson(Record):
    """Agreement of the judge, or of the rules, with one person."""

    person: str
    answers: int
    """Answers that both have judged."""
    alike: float
    """Share of them that both accept, or neither."""
    interval: Interval
    """95%, of that share."""
    kappa: float | None
    """Cohen's: 1 always alike, 0 as by chance; null where one of them gave all answers one verdict."""


class PeopleRecord(Record):
    """A judge's decisions beside those of people."""

    judge: str
    answers: int
    """Reviewed answers that the judge was asked about."""
    readable: int
    people: list[WithPerson]
    """Empty where there is a refusal."""
    refusal: str | None
    scores: dict[str, float]
    """The judge's mean score by criterion, 1 to 5, over the readable replies."""
    requests: int
    tokens: int
    dollars: str | None

    def sentences(self) -> list[str]:
        """The refusal, or a sentence for each person."""
        return [self.refusal] if self.refusal else [self._sentence(one) for one in self.people]

    def _sentence(self, one: WithPerson) -> str:
        words = (
            f"{PREFIX}{self.judge} and {one.person} are alike on {one.alike:.0%} of {one.answers:,} answers (95% "
            f"interval {one.interval.low:.0%} to {one.interval.high:.0%})"
        )
        if one.answers < MINIMUM_CLUSTERS:
            return f"{words}: too few to say how far they agree, {MINIMUM_CLUSTERS} are needed."
        if one.kappa is None:
            return f"{words}, and one of them gave all one verdict: that is no agreement yet."
        return f"{words}, kappa {one.kappa:.2f}."


def judge_reviewed(
    rubric: Rubric,
    items: Sequence[Item],
    decided: Mapping[tuple[str, str], Sequence[Decision]],
    settings: Settings,
    on_settled: Callable[[int, int], None],
) -> PeopleRecord:
    """Ask the judge about each reviewed answer, and compare its decisions with those of people.

    Raises:
        DataError: no answer of the labels was reviewed.
        StageError: the judge is down, or none of its first replies can be read.
        BudgetError: as `ask_judge`.
    """
    reviewed = [item for item in items if item.key in decided]
    if not reviewed:
        raise DataError("no answer of these labels was reviewed: name the labels that `cortex review` was opened with")
    prompts = {
        str(place): ask_alone(rubric.criteria, "\n\n".join(text for _, text in item.turns), item.answer)
        for place, item in enumerate(reviewed)
    }

    def check(replies: Mapping[str, str]) -> None:
        if not any(read_alone(rubric.criteria, reply) for reply in replies.values()):
            raise StageError(
                f"the judge {rubric.judge.model} is refused: none of its first {len(replies)} replies ends with the "
                "scores that were asked for; take a larger model as judge.model, or raise judge.max_tokens"
            )

    judged = ask_judge(rubric, prompts, list(prompts)[:TRIAL], settings, check, on_settled)
    read = {item.key: read_alone(rubric.criteria, judged.replies[str(place)]) for place, item in enumerate(reviewed)}
    record = compare_with_people(rubric.judge.model, reviewed, decided, read)
    dollars = None if judged.dollars is None else str(judged.dollars)
    return record.model_copy(update={"requests": judged.requests, "tokens": judged.tokens, "dollars": dollars})


def compare_with_people(
    judge: str,
    reviewed: Sequence[Item],
    decided: Mapping[tuple[str, str], Sequence[Decision]],
    read: Mapping[tuple[str, str], tuple[dict[str, int], bool] | None],
) -> PeopleRecord:
    """The record of the judge's scores and decisions, None for an unreadable reply. Costs are left empty."""
    found = {key: one for key, one in read.items() if one is not None}
    name = f"{PREFIX}{judge}"
    own = [
        Decision(*item.key, "accept" if found[item.key][1] else "reject", name, item.grade)
        for item in reviewed
        if item.key in found
    ]
    people = [each for item in reviewed for each in decided[item.key]]
    refusal = None
    if len(found) < LEAST_READABLE * len(read):
        refusal = (
            f"No agreement is stated: only {len(found):,} of {len(read):,} of the judge's replies can be read, and "
            f"{LEAST_READABLE:.0%} are needed."
        )
    names = {each.by for each in people}
    with_people = [
        WithPerson(
            person=one.first if one.second == name else one.second,
            answers=one.answers,
            alike=one.alike / one.answers,
            interval=wilson(one.alike / one.answers, one.answers),
            kappa=one.kappa,
        )
        for one in agreements([*people, *own])
        if name in (one.first, one.second) and names & {one.first, one.second}
    ]
    criteria = next(iter(found.values()))[0] if found else {}
    return PeopleRecord(
        judge=judge,
        answers=len(read),
        readable=len(found),
        people=[] if refusal else with_people,
        refusal=refusal,
        scores={one: sum(scores[one] for scores, _ in found.values()) / len(found) for one in criteria},
        requests=0,
        tokens=0,
        dollars=None,
    )
