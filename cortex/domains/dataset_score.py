"""A score of an answer as an example to learn from: 1.0 conversation quality - 0.5 bias + 0.75 reasoning.

The weights are those of a dataset that was filtered by this sum; the three parts are counted by the rules below, each
between 0 and 1, so that a score lies between -0.5 and 1.75. They know words, not meaning: choose a threshold by reading
what it leaves out.
"""

import re
from dataclasses import dataclass

QUALITY, BIAS, REASONING = 1.0, -0.5, 0.75
"""Weights of the parts."""

LOADED = re.compile(
    r"\b(always|never|everyone knows|no one|nobody|obviously|undoubtedly|guaranteed?|certainly|without (?:a )?doubt"
    r"|impossible|the only|can ?not fail|risk[- ]free|all (?:women|men|foreigners|immigrants|banks|politicians))\b",
    re.IGNORECASE,
)
"""Words that leave no doubt, or speak of all members of a group."""

CONNECTIVES = re.compile(
    r"\b(because|since|therefore|thus|hence|so that|however|although|whereas|if|then|but|given|implies|suggests"
    r"|means that|first|second|next|finally|on the other hand|compared (?:with|to)|despite|unless)\b",
    re.IGNORECASE,
)

_WORD = re.compile(r"[^\W\d_]+")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*")
STEPS = 6
"""Connectives from which on a reasoning counts as whole."""
LOADED_SHARE = 0.25
"""Share of sentences with loaded words from which on a text counts as wholly biased."""


@dataclass(frozen=True)
class DatasetScore:
    """The parts, each between 0 and 1."""

    quality: float
    bias: float
    reasoning: float

    @property
    def total(self) -> float:
        return QUALITY * self.quality + BIAS * self.bias + REASONING * self.reasoning


def score_answer(prompt: str, answer: str) -> DatasetScore:
    """Score one answer to a prompt."""
    reasoning, _, said = answer.rpartition("</think>")
    reasoning = reasoning.removeprefix("<think>")
    words = [word.lower() for word in _WORD.findall(answer)]
    if not words:
        return DatasetScore(0.0, 0.0, 0.0)
    sentences = [each.strip() for each in _SENTENCE.findall(answer) if _WORD.search(each)]
    topic = set(_WORD.findall(prompt.lower()))
    quality = (
        min(1.0, len(set(words)) / min(len(words), 50)),  # variety
        len({each.lower() for each in sentences}) / max(1, len(sentences)),  # no sentence twice
        min(1.0, 3 * len(topic & set(words)) / max(1, min(len(topic), 30))),  # on the topic
        1.0 if said.strip() else 0.0,  # an answer, and no thoughts alone
    )
    loaded = sum(bool(LOADED.search(each)) for each in sentences) / max(1, len(sentences))
    steps = len(CONNECTIVES.findall(reasoning or answer))
    return DatasetScore(sum(quality) / len(quality), min(1.0, loaded / LOADED_SHARE), min(1.0, steps / STEPS))
