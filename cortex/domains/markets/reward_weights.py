"""What an answer is paid for, as the profile weighs it: apart from the judging, which needs polars."""

from pydantic import Field

from cortex.section import Section


class RewardWeights(Section):
    """How much each part of the reward counts. The last three are subtracted."""

    probability: float = Field(default=1.0, ge=0)
    """Brier score of the stated probability: 1 - (p - outcome)^2, so 0 to 1, and 0.75 for saying 0.5."""
    numeric: float = Field(default=0.1, ge=0)
    """Closeness of the expected return: 1 at no error, 1/2 at an error of `return_scale_pct`."""
    format: float = Field(default=0.2, ge=0)
    """1 for an answer that parses."""
    grounding: float = Field(default=0.1, ge=0)
    """Share of the numbers cited in the reasoning that stand in the prompt."""
    repetition: float = Field(default=0.1, ge=0)
    """Share of the reasoning's word 3-grams that were there before."""
    padding: float = Field(default=0.1, ge=0)
    """How far the reasoning exceeds `max_reasoning_words`, as a share of its length."""
    misspelling: float = Field(default=0.1, ge=0)
    """Share of the reasoning's words that are outside the vocabulary."""
    return_scale_pct: float = Field(default=2.0, gt=0)
    """The error of the expected return, in percent, at which its part is one half."""
    max_reasoning_words: int = Field(default=200, ge=1)
    """Reasoning longer than this counts as padding."""

    def by_part(self) -> dict[str, float]:
        """How much each part of a grade counts; penalties count below 0."""
        gained = {name: getattr(self, name) for name in ("probability", "numeric", "format", "grounding")}
        return gained | {name: -getattr(self, name) for name in ("repetition", "padding", "misspelling")}
