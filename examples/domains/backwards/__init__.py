"""backwards: words spelt backwards."""

import random
import re
from typing import ClassVar, Literal

import polars as pl
from pydantic import Field

from cortex.domains.domain import Built, Domain, Example, Exemplars, Finding, Message, Question
from cortex.domains.example_columns import examples_frame, read_rows, split_of
from cortex.evaluation.graded import Graded
from cortex.evaluation.measure import Scale
from cortex.settings import Settings

REPLY = re.compile(r"<think>(?P<thought>.+)</think><answer>(?P<answer>[a-z ]+)</answer>", re.DOTALL)


class Backwards(Domain):
    """Spell a word backwards, letter by letter."""

    kind: Literal["backwards"] = "backwards"
    """Names this domain."""
    words: int = Field(default=3000, ge=100)
    """How many are drawn; equal ones count once."""
    letters: int = Field(default=4, ge=3, le=12)
    """In the longest word."""

    scale: ClassVar[Scale] = Scale(loss="error", skill="skill", clusters="words", reference="forwards")

    def build(self, seed: int, settings: Settings) -> Built:
        draw = random.Random(seed)
        words = {" ".join(draw.choices("abcdefgh", k=draw.randint(3, self.letters))) for _ in range(self.words)}
        examples = [Example(word, (Message("user", word),), word[::-1], split_of(word)) for word in sorted(words)]
        source = {"name": "backwards", "seed": seed, "words": self.words, "letters": self.letters}
        frame = examples_frame(examples, [example.id for example in examples])
        return Built(frame, source, simulated=True, summary=f"words of up to {self.letters} letters")

    def grade(self, example: Example, reply: str) -> Graded:
        read = REPLY.fullmatch(reply.strip())
        right = bool(read) and read["answer"].strip() == example.truth
        return Graded(1.0 - right, valid=bool(read), parts={"right": float(right), "format": float(bool(read))})

    def weights(self) -> dict[str, float]:
        return {"right": 1.0, "format": 0.1}

    def imitable(self, question: Question, reply: str) -> Finding:
        # The letters are the question's: a reply with others is wrong, whatever the truth is.
        read = REPLY.fullmatch(reply.strip())
        if read and sorted(read["answer"].strip()) == sorted(question.text):
            return Finding("accepted")
        return Finding("rejected", ("other letters than the question's",) if read else ("not in the form asked for",))

    def script(self, question: Question, seed: int) -> str:
        word = question.text
        answer = word if random.Random(f"{seed} {word}").random() < 0.05 else word[::-1]  # a teacher errs, too
        return f"<think>{len(word) // 2 + 1} letters</think><answer>{answer}</answer>"

    def baselines(self, train: pl.DataFrame, test: pl.DataFrame) -> dict[str, list[Graded]]:
        return {
            "forwards": [
                self.grade(example, f"<think>as it is</think><answer>{example.text}</answer>")
                for example in read_rows(test)
            ]
        }

    def exemplars(self, example: Example) -> Exemplars:
        gold = f"<think>backwards</think><answer>{example.text[::-1]}</answer>"
        honest = f"<think>as it is</think><answer>{example.text}</answer>"
        return Exemplars(gold, honest, gaming={"no answer": "<think>backwards</think>", "nothing": ""})


DOMAIN = Backwards
