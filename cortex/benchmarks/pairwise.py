"""Two contenders' answers to the same questions, compared by a judge: each pair in both orders.

A pair whose winner changes with the order counts for neither (Zheng et al. 2023, "Judging LLM-as-a-Judge with MT-Bench
and Chatbot Arena"). A judge by whose choices the order decides more often than the answers has no verdict.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from cortex.benchmarks.answers_file import Benchmarked, SuiteAnswers
from cortex.benchmarks.before_after import check_same, difference_interval, draw_questions
from cortex.benchmarks.judge_questions import Side, ask_pair, read_pair
from cortex.benchmarks.judging_session import TRIAL, ask_judge
from cortex.benchmarks.rubric import OVERALL, Rubric
from cortex.benchmarks.rubric_record import Position, Preference, RubricRecord
from cortex.domains.question import Conversation
from cortex.errors import DataError, StageError
from cortex.evaluation.bootstrap import LEVEL, Resamples
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.grades import Floats
from cortex.settings import Settings

LEAST_READABLE = 0.9
"""Share of pairs that must be readable: those that a judge cannot judge are not like the others."""

MOST_FLIPS = 0.5
"""Share of flips, among pairs with a side in both orders, from which on there is no verdict: a coin has a half."""

Sides = tuple[Mapping[str, Side] | None, Mapping[str, Side] | None]
"""A judge's choices with the first contender's answer shown first, then with it shown second; None is unreadable."""

_PLACE: dict[Side, float] = {"first": 1.0, "second": -1.0, "neither": 0.0}


def compare_by_rubric(
    rubric: Rubric,
    first: Benchmarked,
    second: Benchmarked,
    suite: str,
    settings: Settings,
    on_settled: Callable[[int, int], None],
) -> RubricRecord:
    """Have the judge compare two contenders' answers to one suite's questions; equal answers are not asked about.

    Raises:
        DataError: the contenders did not answer the same questions of the suite.
        StageError: the judge is down, or its first replies are of no use.
        BudgetError: as `ask_judge`.
    """
    one, other = (_suite(each, suite) for each in (first, second))
    check_same(suite, one, other)
    differing = [
        place
        for place, pair in enumerate(zip(one.answers, other.answers, strict=True))
        if pair[0].reply != pair[1].reply
    ]
    prompts: dict[str, Conversation] = {}
    for place in differing:
        left, right = one.answers[place], other.answers[place]
        prompts[f"{place}-12"] = ask_pair(rubric.criteria, left.prompt, left.reply, right.reply)
        prompts[f"{place}-21"] = ask_pair(rubric.criteria, left.prompt, right.reply, left.reply)

    def read(replies: Mapping[str, str], place: int) -> Sides:
        forward, backward = (read_pair(rubric.criteria, replies[f"{place}-{order}"]) for order in ("12", "21"))
        return forward, backward

    tried = [differing[at * len(differing) // TRIAL] for at in range(TRIAL)] if len(differing) > TRIAL else differing
    judged = ask_judge(
        rubric,
        prompts,
        [f"{place}-{order}" for place in tried for order in ("12", "21")],
        settings,
        lambda replies: check_trial(rubric.judge.model, [read(replies, place) for place in tried]),
        on_settled,
    )
    alike: Mapping[str, Side] = dict.fromkeys((OVERALL, *rubric.criteria), "neither")
    sides: list[Sides] = [(alike, alike)] * len(one.answers)
    for place in differing:
        sides[place] = read(judged.replies, place)
    record = judge_pairs(sides, one, list(rubric.criteria))
    spent = {"requests": judged.requests, "tokens": judged.tokens}
    dollars = None if judged.dollars is None else str(judged.dollars)
    names = {"judge": rubric.judge.model, "first": first.label, "second": second.label}
    return record.model_copy(update={**names, **spent, "dollars": dollars})


def check_trial(judge: str, sides: Sequence[Sides]) -> None:
    """Stop before more is paid for where none of the first pairs is readable, or the order decided all of them.

    Raises:
        StageError: it is so.
    """
    readable = [pair for pair in sides if pair[0] and pair[1]]
    if sides and not readable:
        raise StageError(
            f"the judge {judge} is refused: none of its first {len(sides)} pairs of replies ends with the choices that "
            "were asked for; take a larger model as judge.model, or raise judge.max_tokens"
        )
    if len(readable) >= TRIAL and _flips(readable) == len(readable):
        raise StageError(
            f"the judge {judge} is refused: in each of its first {len(readable)} pairs it prefers the same place in "
            "both orders, whichever answer stands there; take another model as judge.model"
        )


def judge_pairs(
    sides: Sequence[Sides], questions: SuiteAnswers, criteria: Sequence[str], seed: int = 0
) -> RubricRecord:
    """The record of N pairs' choices, in the order of the questions. Names and costs are left empty."""
    kept = [place for place, pair in enumerate(sides) if pair[0] and pair[1]]
    readable = [sides[place] for place in kept]
    names = [OVERALL, *criteria]
    level = 1 - (1 - LEVEL) / len(names)
    position, preferences, refusal = None, [], None
    if readable:
        asked = SuiteAnswers(tuple(questions.answers[place] for place in kept), questions.span)
        drawn = draw_questions(Clusters.read(asked.frame(), asked.span), seed)
        position = _position(readable, drawn)
        preferences = [_preference(name, readable, drawn, level) for name in names]
    if len(readable) < LEAST_READABLE * len(sides):
        refusal = (
            f"No verdict: only {len(readable):,} of {len(sides):,} pairs of the judge's replies can be read, and "
            f"{LEAST_READABLE:.0%} are needed."
        )
    elif position and position.sided and position.flips >= MOST_FLIPS * position.sided:
        refusal = (
            f"No verdict: in {position.flips:,} of {position.sided:,} pairs the judge prefers the same place in both "
            f"orders, whichever answer stands there (its lean to the first is {position.lean:+.2f}): the order decides."
        )
    return RubricRecord(
        judge="",
        first="",
        second="",
        pairs=len(sides),
        readable=len(readable),
        position=position,
        refusal=refusal,
        level=level,
        preferences=[] if refusal else preferences,
        requests=0,
        tokens=0,
        dollars=None,
    )


def _suite(contender: Benchmarked, name: str) -> SuiteAnswers:
    found = contender.suites.get(name)
    if found is None:
        raise DataError(f"{contender.label} has no answers to {name}: it has {', '.join(sorted(contender.suites))}")
    return found


def _places(sides: Sequence[Sides], name: str) -> tuple[Floats, Floats]:
    """The places that a criterion prefers in each order: 1 the first, -1 the second, 0 neither (N each)."""
    rows = [[_PLACE[order[name]] for order in pair if order] for pair in sides]
    forward, backward = np.array(rows, dtype=np.float64).T
    return forward, backward


def _flips(sides: Sequence[Sides]) -> int:
    forward, backward = _places(sides, OVERALL)
    return int((forward * backward > 0).sum())


def _position(sides: Sequence[Sides], drawn: Resamples | None) -> Position:
    forward, backward = _places(sides, OVERALL)
    lean = (forward + backward) / 2
    mean = float(lean.mean())
    return Position(
        lean=mean,
        interval=drawn and drawn.interval(mean, drawn.means(lean), (-1.0, 1.0)),
        flips=_flips(sides),
        sided=int((forward * backward != 0).sum()),
    )


def _preference(name: str, sides: Sequence[Sides], drawn: Resamples | None, level: float) -> Preference:
    forward, backward = _places(sides, name)
    won = forward - backward  # the first contender stands second in the backward order
    first, second = (won > 0).astype(np.float64), (won < 0).astype(np.float64)
    return Preference(
        criterion=name,
        first=float(first.mean()),
        second=float(second.mean()),
        difference=float((first - second).mean()),
        interval=drawn and difference_interval(first, second, drawn, level),
    )
