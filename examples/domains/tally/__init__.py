"""tally: count how often the letter a stands in a word."""

import random
import re
from collections.abc import Sequence
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from cortex.domains.disguise import disguise
from cortex.domains.domain import Built, Domain, Exemplars
from cortex.domains.example_columns import examples_frame, read_rows, split_of
from cortex.domains.label_finding import Finding
from cortex.domains.question import Example, Message, Question
from cortex.domains.reward_parts import RewardPart
from cortex.domains.weighted_quantile import weighted_quantile
from cortex.evaluation.graded import Graded
from cortex.evaluation.measure import Scale
from cortex.settings import Settings

NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight")
REPLY = re.compile(r"<think>[^<]+</think><answer>(?P<answer>[a-z]+)</answer>")


class Tally(Domain):
    """Count how often the letter a stands in a word of a, b and c."""

    kind: Literal["tally"] = "tally"
    """Names this domain."""
    words: int = Field(default=3000, ge=200)
    """Words that are drawn; equal ones count once."""
    letters: int = Field(default=8, ge=4, le=8)
    """Letters of the longest word; the shortest has four."""

    scale: ClassVar[Scale] = Scale(loss="error", skill="skill", clusters="words", reference="usual")

    def build(self, seed: int, settings: Settings) -> Built:
        draw = random.Random(seed)
        words = {" ".join(draw.choices("aabc", k=draw.randint(4, self.letters))) for _ in range(self.words)}
        examples = [
            Example(word, (Message("user", word),), NUMBERS[word.count("a")], split_of(word)) for word in sorted(words)
        ]
        source = {"name": "tally", "seed": seed, "words": self.words, "letters": self.letters}
        frame = examples_frame(examples, clusters=[example.id for example in examples])
        return Built(frame, source, simulated=True, summary=f"words of up to {self.letters} letters")

    def grade(self, example: Example, reply: str) -> Graded:
        read = REPLY.fullmatch(reply.strip())
        if not read or read["answer"] not in NUMBERS or disguise(reply):
            return Graded(loss=1.0, valid=False, parts={"near": 0.0, "format": 0.0})
        loss = abs(NUMBERS.index(read["answer"]) - NUMBERS.index(str(example.truth))) / 8
        return Graded(loss, valid=True, parts={"near": 1 - loss, "format": 1.0})

    def reward_parts(self) -> tuple[RewardPart, ...]:
        return (
            RewardPart("near", 1.0, "1 - |stated - true| / 8", elicits="the median of the count"),
            RewardPart("format", 0.1, "1 for a reply in the form asked for, else 0"),
        )

    def imitable(self, question: Question, reply: str) -> Finding:
        # The truth is not here, but no count is larger than the word is long.
        read = REPLY.fullmatch(reply.strip())
        if not read or read["answer"] not in NUMBERS:
            return Finding("rejected", ("not in the form asked for",))
        if NUMBERS.index(read["answer"]) > len(question.text.split()):
            return Finding("rejected", ("more than the word has letters",))
        return Finding("accepted")

    def script(self, question: Question, seed: int) -> str:
        letters = question.text.split()
        errs = random.Random(f"{seed} {question.text}").random() < 0.05  # as a real teacher does
        return _reply(f"{len(letters)} letters", 0 if errs else letters.count("a"))

    def baselines(self, train: pl.DataFrame, test: pl.DataFrame) -> dict[str, list[Graded]]:
        asked = list(read_rows(test))
        usual = self.honest_reply(asked[0], [(example, 1.0) for example in read_rows(train)])
        return {"usual": [self.grade(example, usual) for example in asked]}

    def honest_reply(self, question: Question, believed: Sequence[tuple[Example, float]]) -> str:
        # The count that is nearest on average to all that are believed possible.
        counts = [(float(NUMBERS.index(str(example.truth))), share) for example, share in believed]
        return _reply("as often", int(weighted_quantile(counts, 0.5)))

    def exemplars(self, example: Example) -> Exemplars:
        gold = _reply("all counted", NUMBERS.index(str(example.truth)))
        gaming = {"nothing": "", "no answer": "<think>all counted</think>", "many answers": gold + _reply("or", 3)}
        return Exemplars(gold, gaming=gaming)


def _reply(thought: str, count: int) -> str:
    return f"<think>{thought}</think><answer>{NUMBERS[count]}</answer>"


DOMAIN = Tally
