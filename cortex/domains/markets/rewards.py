"""Parts of a sampled answer's reward, once the outcome is known. Each lies between 0 and 1; the profile weighs them.

The probability earns a proper score, so that stating one's true belief is the best policy (Gneiting and Raftery,
"Strictly Proper Scoring Rules, Prediction, and Estimation", JASA 102, 2007). So does the expected return: absolute
distance after a bounded, rising transformation is consistent for the median (Gneiting, "Making and Evaluating Point
Forecasts", JASA 106, 2011, theorem 9). No bounded score is for the mean of returns without bounds.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from cortex.domains.markets.grounding import citations
from cortex.domains.markets.outcomes import rise
from cortex.domains.markets.protocol import Answer
from cortex.domains.markets.reward_weights import RewardWeights

_WORD = re.compile(r"[^\W\d_]+")
"""A word of any alphabet: letters that only look Latin are judged, too."""


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


def answer_parts(answer: Answer, prompt: str, outcome: float, weights: RewardWeights) -> dict[str, float]:
    """The parts that an answer earns which could be read."""
    return {
        "probability": brier_reward(answer.p_up, outcome),
        "numeric": return_reward(answer.return_pct, 100 * outcome, weights.return_scale_pct),
        "format": 1.0,
        "grounding": citations(answer.reasoning, prompt).share,
    }


def brier_reward(p_up: float, outcome: float) -> float:
    """One minus the Brier score of one forecast."""
    return 1 - (p_up - rise(outcome)) ** 2


def return_reward(stated_pct: float, return_pct: float, scale_pct: float) -> float:
    """Closeness of a stated return to the realised one, 0 to 1: on average best for the median of what is believed."""
    return 1 - abs(_bounded(stated_pct, scale_pct) - _bounded(return_pct, scale_pct)) / 2


def _bounded(value: float, scale: float) -> float:
    """A rising function of all numbers, between -1 and 1; one half at `scale`."""
    return value / (scale + abs(value))


def penalties(reasoning: str, prompt: str, weights: RewardWeights, vocabulary: frozenset[str]) -> dict[str, float]:
    """The penalties of a reply, be it readable or not."""
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


def words_of(replies: Iterable[str]) -> frozenset[str]:
    """The words of all reasoning in replies, in lower case."""
    reasoning = (reply.partition("</think>")[0] for reply in replies)
    return frozenset(word.lower() for text in reasoning for word in _WORD.findall(text))
