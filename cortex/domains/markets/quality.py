"""Grades of a teacher's answers: fit to imitate or not. They know the prompt and the answer, never the outcome."""

from cortex.domains.label_finding import Finding
from cortex.domains.markets.grounding import citations
from cortex.domains.markets.protocol import ProtocolError, parse_answer
from cortex.domains.markets.reward_weights import RewardWeights
from cortex.domains.markets.rewards import penalties
from cortex.text import harmless

CERTAIN = 0.03
"""A probability nearer than this to 0 or 1 is flagged: no market allows such certainty."""
REPETITIVE = 0.3
"""Share of repeated 3-grams from which on a reasoning is flagged as repeating itself."""

_REASON = 500
"""Maximum characters of a reason: an answer may cite a million numbers that the prompt does not contain."""


def check(prompt: str, text: str) -> Finding:
    """Grade one answer: rejected if it breaks the protocol or cites numbers that the prompt lacks; flagged if odd."""
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
    if (
        penalties(text.split("</think>", maxsplit=1)[0].removeprefix("<think>"), prompt, RewardWeights(), frozenset())[
            "repetition"
        ]
        >= REPETITIVE
    ):
        reasons.append("repeats itself")
    return Finding("flagged", tuple(reasons)) if reasons else Finding("accepted")
