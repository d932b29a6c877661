"""Reward of a sampled answer once the outcome is known. Every part lies in a fixed range; the profile weighs them.

The probability is rewarded by a proper score, so that stating the true belief is the best policy (Gneiting and Raftery,
"Strictly Proper Scoring Rules, Prediction, and Estimation", JASA 102, 2007).
"""

import re
from collections import Counter
from dataclasses import asdict, dataclass

from cortex.market.outcomes import is_up
from cortex.reasoning.grounding import citations
from cortex.reasoning.protocol import Answer, ProtocolError, parse_answer
from cortex.reasoning.reward_weights import RewardWeights

_WORD = re.compile(r"[A-Za-z]+")


@dataclass(frozen=True)
class Reward:
    """The unweighted parts of one completion's reward, each between 0 and 1."""

    probability: float = 0.0
    numeric: float = 0.0
    format: float = 0.0
    grounding: float = 0.0
    repetition: float = 0.0
    padding: float = 0.0
    misspelling: float = 0.0

    def total(self, weights: RewardWeights) -> float:
        gained = sum(getattr(weights, name) * value for name, value in list(asdict(self).items())[:4])
        lost = sum(getattr(weights, name) * value for name, value in list(asdict(self).items())[4:])
        return gained - lost


def reward(
    completion: str, prompt: str, outcome: float, weights: RewardWeights, vocabulary: frozenset[str] = frozenset()
) -> Reward:
    """Judge one completion.

    Args:
        completion: The model's text.
        prompt: What it answered.
        outcome: The forward return that followed, as a fraction.
        weights: Scales and limits; weighing itself is left to `Reward.total`.
        vocabulary: The lower-case words that count as spelled right; the prompt's own always do. Empty: not judged.

    Returns:
        The parts. An answer that does not parse earns nothing but its penalties.
    """
    reasoning = completion.split("</think>", maxsplit=1)[0].removeprefix("<think>")
    penalties = _penalties(reasoning, prompt, weights, vocabulary)
    try:
        answer = parse_answer(completion)
    except ProtocolError:
        return Reward(**penalties)
    return Reward(
        probability=brier_reward(answer.p_up, outcome),
        numeric=_numeric(answer, outcome, weights.return_scale_pct),
        format=1.0,
        grounding=citations(answer.reasoning, prompt).share,
        **penalties,
    )


def brier_reward(p_up: float, outcome: float) -> float:
    """One minus the Brier score of one forecast."""
    return 1 - (p_up - float(is_up(outcome))) ** 2


def _numeric(answer: Answer, outcome: float, scale_pct: float) -> float:
    return 1 / (1 + abs(answer.return_pct - 100 * outcome) / scale_pct)


def _penalties(reasoning: str, prompt: str, weights: RewardWeights, vocabulary: frozenset[str]) -> dict[str, float]:
    words = reasoning.split()
    trigrams = Counter(zip(words, words[1:], words[2:], strict=False))
    total = sum(trigrams.values())
    spelled = _WORD.findall(reasoning)
    known = vocabulary | {word.lower() for word in _WORD.findall(prompt)}
    unknown = sum(word.lower() not in known for word in spelled) if vocabulary else 0
    return {
        "repetition": (total - len(trigrams)) / total if total else 0.0,
        "padding": max(0.0, 1 - weights.max_reasoning_words / len(words)) if words else 0.0,
        "misspelling": unknown / len(spelled) if spelled else 0.0,
    }
