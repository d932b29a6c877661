"""The profile's weights of an answer's reward. They are apart from the grading, whose imports need polars."""

from pydantic import Field

from cortex.section import Section


class RewardWeights(Section):
    """Weights of the reward's parts. `repetition`, `padding` and `misspelling` are subtracted."""

    probability: float = Field(default=1.0, ge=0)
    """One minus the Brier score of the stated probability, 1 - (p - outcome)^2: 0 to 1, and 0.75 for p = 0.5."""
    numeric: float = Field(default=0.1, ge=0)
    """Closeness of the expected return: 1 at no error, 1/2 at an error of `return_scale_pct`."""
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
    """The error of the expected return, in percent, at which its part is one half."""
    max_reasoning_words: int = Field(default=200, ge=1)
    """Reasoning longer than this counts as padding."""

    def by_part(self) -> dict[str, float]:
        """The weight of each part of a grade; a penalty's is negative."""
        gained = {name: getattr(self, name) for name in ("probability", "numeric", "format", "grounding")}
        return gained | {name: -getattr(self, name) for name in ("repetition", "padding", "misspelling")}
