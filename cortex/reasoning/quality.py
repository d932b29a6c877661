"""Grades of a teacher's answers: fit to imitate or not. They know the prompt and the answer, never the outcome."""

from dataclasses import dataclass
from typing import Literal

from cortex.reasoning.completion import Completion, Kind
from cortex.reasoning.grounding import citations
from cortex.reasoning.protocol import ProtocolError, parse_answer
from cortex.reasoning.reward_weights import RewardWeights
from cortex.reasoning.rewards import reward
from cortex.text import harmless

Grade = Literal["accepted", "flagged", "rejected"]

CERTAIN = 0.03
"""A probability nearer than this to 0 or 1 is more certainty than a market gives; one just as near is not."""
REPETITIVE = 0.3
"""Share of repeated 3-grams from which a reasoning goes round in circles."""

_REASON = 500
"""Characters of a reason: an answer may cite a million numbers that the prompt does not hold."""


@dataclass(frozen=True)
class Finding:
    """A grade, and the reasons for one below `accepted`."""

    grade: Grade
    reasons: tuple[str, ...] = ()


_WITHOUT_ANSWER: dict[Kind, str] = {"truncated": "truncated", "refused": "refused"}


def grade(prompt: str, completion: Completion) -> Finding:
    """Grade what came of one prompt. A text that was cut off after its last word is as good as any."""
    finding = check(prompt, completion.text)
    if completion.kind == "answered" or (completion.kind == "truncated" and finding.grade != "rejected"):
        return finding
    return Finding("rejected", (f"{_WITHOUT_ANSWER.get(completion.kind, 'unanswered')}: {completion.reason}",))


def check(prompt: str, text: str) -> Finding:
    """Grade one answer: rejected if it breaks the protocol or cites what the prompt does not say; flagged if odd."""
    try:
        answer = parse_answer(text)
    except ProtocolError as error:
        return Finding("rejected", (f"protocol: {error}",))
    cited = citations(answer.reasoning, prompt)
    if cited.ungrounded:
        return Finding("rejected", (harmless(f"ungrounded: {', '.join(cited.ungrounded)}", limit=_REASON),))
    reasons: list[str] = []
    if cited.cited == 0:
        reasons.append("cites nothing")
    if min(answer.p_up, 1 - answer.p_up) < CERTAIN:
        reasons.append(f"certain: p_up {answer.p_up}")
    if reward(text, prompt, 0.0, RewardWeights()).repetition >= REPETITIVE:
        reasons.append("repeats itself")
    return Finding("flagged", tuple(reasons)) if reasons else Finding("accepted")
