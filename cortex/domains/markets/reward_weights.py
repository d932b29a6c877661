"""The weights of an answer's reward in a profile, and its parts; apart from the grading, whose imports need polars."""

from pydantic import Field

from cortex.domains.reward_parts import RewardPart
from cortex.section import Section

BRIER = "Gneiting and Raftery, Strictly Proper Scoring Rules, Prediction, and Estimation, JASA 102, 2007"
POINTS = "Gneiting, Making and Evaluating Point Forecasts, JASA 106, 2011"


class RewardWeights(Section):
    """Weights of the reward's parts. `repetition`, `padding` and `misspelling` are subtracted."""

    probability: float = Field(default=1.0, ge=0)
    """One minus the Brier score of the stated probability, 1 - (p - outcome)^2: 0 to 1, and 0.75 for p = 0.5."""
    numeric: float = Field(default=0.1, ge=0)
    """Closeness of the expected return r to the realised x: 1 - |g(r) - g(x)| / 2, with g(z) = z / (s + |z|) and s =
    `return_scale_pct`. Bounded, and best for the median of what is believed, however wide the belief is."""
    format: float = Field(default=0.2, ge=0)
    """1 for an answer that parses."""
    grounding: float = Field(default=0.1, ge=0)
    """Share of the numbers cited in the reasoning that occur in the prompt."""
    repetition: float = Field(default=0.1, ge=0)
    """Share of the reasoning's word 3-grams that repeat an earlier one."""
    padding: float = Field(default=0.1, ge=0)
    """Share of the reasoning's words beyond the first `max_reasoning_words`."""
    misspelling: float = Field(default=0.1, ge=0)
    """Share of the reasoning's words that are outside the vocabulary."""
    return_scale_pct: float = Field(default=2.0, gt=0)
    """The return, in percent, at which g is one half: larger ones are told apart less and less."""
    max_reasoning_words: int = Field(default=200, ge=1)
    """Reasoning longer than this counts as padding."""

    def parts(self) -> tuple[RewardPart, ...]:
        """The parts of a reward, with these weights."""
        scale, words = self.return_scale_pct, self.max_reasoning_words
        return (
            RewardPart(
                "probability",
                self.probability,
                "1 - (p - rise)^2, where rise is 1 for a return above 0, 1/2 for 0, else 0",
                BRIER,
                "the probability of a rise plus half that of no change",
            ),
            RewardPart(
                "numeric",
                self.numeric,
                f"1 - |g(stated) - g(return)| / 2, where g(z) = z / ({scale:g} + |z|), in percent",
                POINTS,
                "the median of the return, which is the expected return of a symmetric belief",
            ),
            RewardPart("format", self.format, "1 for an answer that parses, else 0"),
            RewardPart("grounding", self.grounding, "share of the numbers in the reasoning that the prompt holds"),
            RewardPart("repetition", self.repetition, "share of word 3-grams that repeat an earlier one", penalty=True),
            RewardPart("padding", self.padding, f"share of words beyond the first {words}", penalty=True),
            RewardPart("misspelling", self.misspelling, "share of words outside of the vocabulary", penalty=True),
        )
