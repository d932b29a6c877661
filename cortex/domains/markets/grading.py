"""Grading of a market model's replies, once the outcome is known."""

import math
from dataclasses import asdict, dataclass

from cortex.domains.markets.outcomes import rise
from cortex.domains.markets.protocol import Answer, ProtocolError, parse_answer
from cortex.domains.markets.reward_weights import RewardWeights
from cortex.domains.markets.rewards import Reward, answer_parts, penalties
from cortex.evaluation.graded import Graded

ABSTENTION = 0.25
"""The Brier score of a reply that cannot be read: that of a stated probability of one half."""

CLIP = 1e-3
"""Log loss clips probabilities to [CLIP, 1 - CLIP]: a wrong certainty costs 6.9 nats in place of infinity."""


@dataclass(frozen=True)
class Forecast:
    """A forecast of one return. Returns are fractions."""

    p_up: float
    expected_return: float
    low: float
    high: float

    @classmethod
    def of(cls, answer: Answer) -> "Forecast":
        return cls(answer.p_up, answer.return_pct / 100, answer.low_pct / 100, answer.high_pct / 100)

    def brier(self, outcome: float) -> float:
        """The squared error of the probability of up (Brier 1950), 0 to 1; 0.25 is a coin's, or 0 if nothing moved."""
        return (self.p_up - rise(outcome)) ** 2

    def numbers(self, outcome: float) -> dict[str, float]:
        """The forecast itself, and the numbers whose means are a market's measures."""
        up = rise(outcome)
        clipped = min(max(self.p_up, CLIP), 1 - CLIP)
        return {
            "p_up": self.p_up,
            "expected_return": self.expected_return,
            "low": self.low,
            "high": self.high,
            "up": up,
            "hit": 0.5 if 0.5 in (self.p_up, up) else float((self.p_up > 0.5) == (up > 0.5)),
            "log_loss": -up * math.log(clipped) - (1 - up) * math.log(1 - clipped),
            "absolute_error": abs(self.expected_return - outcome),
            "absolute_return": abs(outcome),
            "covered": float(self.low <= outcome <= self.high),
            "width": self.high - self.low,
        }


def grade_reply(
    reply: str, prompt: str, outcome: float, weights: RewardWeights, vocabulary: frozenset[str] = frozenset()
) -> Graded:
    """Judge one reply.

    Args:
        reply: The model's text.
        prompt: The prompt that it answers.
        outcome: The forward return that followed, as a fraction.
        weights: Scales and limits of the parts.
        vocabulary: Lower-case words that count as spelled right, besides the prompt's. Empty: spelling is not judged.

    Returns:
        Its grade. A reply that does not parse earns nothing but its penalties.
    """
    reasoning = reply.split("</think>", maxsplit=1)[0].removeprefix("<think>")
    lost = penalties(reasoning, prompt, weights, vocabulary)
    try:
        answer = parse_answer(reply)
    except ProtocolError:
        return Graded(ABSTENTION, valid=False, parts=asdict(Reward(**lost)))
    forecast = Forecast.of(answer)
    parts = Reward(**answer_parts(answer, prompt, outcome, weights), **lost)
    return Graded(forecast.brier(outcome), valid=True, parts=asdict(parts), numbers=forecast.numbers(outcome))


def grade_forecast(forecast: Forecast, outcome: float) -> Graded:
    """Judge a forecast that no model wrote."""
    return Graded(forecast.brier(outcome), valid=True, numbers=forecast.numbers(outcome))
