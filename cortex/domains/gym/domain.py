"""Maths and logic as a domain: questions of reasoning-gym's generators, judged by its verifiers."""

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, JsonValue, PrivateAttr, model_validator

from cortex.domains.data_words import DataWords, SourceTerms
from cortex.domains.domain import Built, Domain, Exemplars
from cortex.domains.gym.task_config import Style, Task
from cortex.domains.label_finding import Finding
from cortex.domains.question import Example, Question, Split
from cortex.domains.reward_parts import RewardPart
from cortex.evaluation.card_words import CardWords
from cortex.evaluation.graded import Graded
from cortex.evaluation.measure import Measure, Scale
from cortex.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from cortex.evaluation.grades import Grades

# Each method imports what it needs: reading a profile must not take the time of importing polars or reasoning-gym.

_BUILDING = threading.Lock()
"""Requests to a scripted teacher come at the same time, and only the first may draw the questions."""


class Gym(Domain):
    """Questions of maths and logic with verifiable answers, by reasoning-gym."""

    kind: Literal["gym"] = "gym"
    """Names this domain."""
    tasks: dict[str, Task] = Field(
        default={"chain_sum": Task(config={"max_terms": 4, "max_digits": 2}), "spell_backward": Task()}, min_length=1
    )
    """Tasks of reasoning-gym, by its names, with their weights, keys and levels."""
    style: Style = "full"
    """Form of the prompts: reasoning-gym's own text (`full`), or few tokens for a small model (`compact`), which only
    some tasks have."""
    examples: int = Field(default=4000, ge=10, le=500_000)
    """Training questions of all tasks together."""
    validation_examples: int = Field(default=400, ge=8, le=100_000)
    """Validation questions."""
    test_examples: int = Field(default=1000, ge=10, le=100_000)
    """Test questions."""
    order: Literal["mixed", "rising"] = "mixed"
    """Order of the training questions: levels in turns (`mixed`), or the lower levels first (`rising`), which GRPO
    keeps to with `grpo.trl: {shuffle_dataset: false}`."""
    credit: Literal["exact", "partial"] = "exact"
    """Worth of an answer: 1 for the verifier's full marks and else 0 (`exact`), or the verifier's own score
    (`partial`), which gives parts for answers that are nearly right, and for some tasks 0.01 to any."""
    format_weight: float = Field(default=0.1, ge=0, le=1)
    """Reward for a reply in the form asked for, beside 1 for a right answer."""
    unanswered: bool = False
    """Allow tasks whose questions come without an answer: a teacher may solve them, but a rehearsal's script cannot."""
    faults: float = Field(default=0.6, ge=0, le=1)
    """Share of the scripted teacher's answers in a rehearsal that follow a bad habit, such as the last two letters in
    each other's place: GRPO has to undo what SFT learned of them."""

    scale: ClassVar[Scale] = Scale(
        loss="error", skill="skill", clusters="questions", reference="usual", rivals=("drawn", "shortest")
    )
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("score", "Right", of="right", form=".1%"),
        Measure("verifier", "Verifier's score", of="verifier"),
    )

    _answers: dict[int, dict[str, str]] = PrivateAttr(default_factory=dict)
    """The true answers by prompt, for each seed that a scripted teacher was asked with."""

    @model_validator(mode="after")
    def _weigh_something(self) -> Self:
        if not sum(task.weight for task in self.tasks.values()):
            raise ValueError("the tasks' weights sum to 0, so that there is nothing to ask: give one a weight above 0")
        return self

    def check(self, settings: Settings) -> None:
        from cortex.domains.gym.compact_forms import compact_form
        from cortex.domains.gym.generators import check_tasks

        check_tasks(self.tasks, unanswered=self.unanswered)
        if self.style == "compact":
            for name in self.tasks:
                compact_form(name)

    def build(self, seed: int, settings: Settings) -> Built:
        import polars as pl

        frame = self._draw(seed)
        if self.order == "rising":
            rising = frame.filter(pl.col("split") == "train").sort("level", maintain_order=True)
            frame = pl.concat([rising, frame.filter(pl.col("split") != "train")])
        tasks = self.model_dump(mode="json", include={"tasks", "style"})
        return Built(
            frame,
            {"name": "reasoning-gym", "version": _version(), "seed": seed, **tasks},
            simulated=False,  # the questions are the task itself, and no stand-in for others
            summary=f"questions of {', '.join(self.tasks)}",
        )

    def grade(self, example: Example, reply: str) -> Graded:
        from cortex.domains.gym.compact_forms import COMPACT
        from cortex.domains.gym.generators import Address
        from cortex.domains.gym.replies import read_reply
        from cortex.domains.gym.verifying import verify

        task = Address.read(example.id).task
        place = list(self.tasks).index(task) if task in self.tasks else -1
        answer = read_reply(reply, self.style)
        if answer is None:
            nothing = {"right": 0.0, "verifier": 0.0, "task": float(place)}
            return Graded(1.0, False, {"answer": 0.0, "format": 0.0}, nothing)
        if self.style == "compact":
            answer = COMPACT[task].full(answer)
        score = verify(self.tasks, example.id, example.truth, answer)
        right = float(score >= 1 - 1e-9)  # some verifiers add up parts
        worth = score if self.credit == "partial" else right
        numbers = {"right": right, "verifier": score, "task": float(place)}
        return Graded(1 - worth, True, {"answer": worth, "format": 1.0}, numbers)

    def reward_parts(self) -> tuple[RewardPart, ...]:
        score = "the verifier's score" if self.credit == "partial" else "1 for the verifier's full marks, else 0"
        return (
            RewardPart("answer", 1.0, score, source="reasoning-gym", elicits="the answer that is likeliest right"),
            RewardPart("format", self.format_weight, "1 for a reply in the form asked for, else 0"),
        )

    def honest_reply(self, question: Question, believed: "Sequence[tuple[Example, float]]") -> str:
        from cortex.domains.gym.usual_answers import likeliest_answer

        return self._reply(question, likeliest_answer(question, believed))

    def imitable(self, question: Question, reply: str) -> Finding:
        from cortex.domains.gym.replies import read_reply

        if read_reply(reply, self.style) is None:
            return Finding("rejected", ("not in the form asked for",))
        return Finding("accepted")

    def teacher_prompt(self) -> str:
        from cortex.domains.gym.guide import write_guide

        return write_guide(self.tasks, self.style)

    def script(self, question: Question, seed: int) -> str:
        from cortex.domains.gym.faulty_answers import teach
        from cortex.domains.gym.replies import write_reply

        answer = self._known(seed).get(question.text)
        if answer is None:
            return "I do not know."
        # The guide tells it to look twice, and so it has no bad habit.
        first = question.messages[0]
        guided = first.role == "system" and self.teacher_prompt() in first.content
        return write_reply(teach(question.text, answer, seed, 0.0 if guided else self.faults), self.style)

    def baselines(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, list[Graded]]:
        from cortex.domains.example_columns import read_rows
        from cortex.domains.gym.usual_answers import thoughtless_answers

        asked = list(read_rows(test))
        found = thoughtless_answers(list(read_rows(train)), asked)
        return {
            name: [
                self.grade(example, self._reply(example, answer))
                for example, answer in zip(asked, answers, strict=True)
            ]
            for name, answers in found.items()
        }

    def exemplars(self, example: Example) -> Exemplars | None:
        from cortex.domains.gym.replies import write_reply

        if example.truth is None:
            return None
        gold = self._reply(example, str(example.truth))
        gaming = {
            "nothing": "",
            "no answer": "the answer is inside",
            "empty answer": write_reply("", self.style),
            "many answers": gold + write_reply("0", self.style),
            "the question again": example.text,
        }
        return Exemplars(gold, gaming=gaming)

    def facts(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, str]:
        counts = dict(test["task"].value_counts().sort("count", "task", descending=[True, False]).iter_rows())
        return {"test questions by task": ", ".join(f"{name} {count:,}" for name, count in counts.items())}

    def describe_split(self, rows: "pl.LazyFrame") -> dict[str, JsonValue]:
        return {"tasks": dict(rows.group_by("task").len().sort("task").collect().iter_rows())}

    def truth_words(self, example: Example) -> str:
        return "any verified answer is right" if example.truth is None else f"the answer is {example.truth}"

    def details(self, grades: "Grades") -> dict[str, JsonValue]:
        right, places = grades.numbers["right"], grades.numbers["task"]
        shares: dict[str, JsonValue] = {}
        for place, name in enumerate(self.tasks):
            of_task = right[places == place]
            if len(of_task):
                shares[name] = {"examples": len(of_task), "right": float(of_task.mean())}
        return {"by_task": shares}

    def notes(self) -> tuple[str, ...]:
        counted = "only the verifier's full marks count" if self.credit == "exact" else "the verifier's score counts"
        return (
            f"The error is 1 less the worth of an answer, for which {counted}. `usual` gives a task's most frequent "
            "training answer, `drawn` a random one, `shortest` the shortest.",
            "Test questions come from seeds ten million away from those of training, and no question is in both.",
        )

    def data_words(self, described: Mapping[str, Any]) -> DataWords:
        terms = "Drawn by generators of reasoning-gym, whose code is under Apache-2.0; no text of others is in them."
        return DataWords(
            "An example is a problem of maths or logic, which a verifier judges.",
            (SourceTerms("reasoning-gym", terms),),
        )

    def card(self) -> CardWords:
        return CardWords(
            what=f"answers questions of reasoning-gym's tasks {', '.join(self.tasks)}.",
            task="Reasoning with verifiable answers",
            dataset_type="reasoning-gym",
            tags=("reasoning", "math"),
            limits=("It has been judged on questions that a program makes, of the tasks and sizes listed above.",),
        )

    def small(self) -> Self:
        tasks = {"spell_backward": Task(config={"max_word_len": 5})}
        return type(self)(tasks=tasks, style="compact", examples=600, validation_examples=60, test_examples=120)

    def _draw(self, seed: int) -> "pl.DataFrame":
        from cortex.domains.gym.drawing import draw_examples

        self.check(Settings())
        counts: dict[Split, int] = {
            "train": self.examples,
            "validation": self.validation_examples,
            "test": self.test_examples,
        }
        return draw_examples(self.tasks, counts, self.style, seed)

    def _known(self, seed: int) -> Mapping[str, str]:
        """The answers of all questions, by prompt: the script has no other way to answer every task."""
        from cortex.domains.example_columns import read_rows

        with _BUILDING:
            if seed not in self._answers:
                self._answers[seed] = {
                    example.text: self._written(example, str(example.truth))
                    for example in read_rows(self._draw(seed))
                    if example.truth is not None
                }
        return self._answers[seed]

    def _reply(self, example: Question, answer: str) -> str:
        from cortex.domains.gym.replies import write_reply

        return write_reply(self._written(example, answer), self.style)

    def _written(self, example: Question, answer: str) -> str:
        """An answer of the generator as a model writes it."""
        from cortex.domains.gym.compact_forms import COMPACT
        from cortex.domains.gym.generators import Address

        return COMPACT[Address.read(example.id).task].short(answer) if self.style == "compact" else answer


def _version() -> str:
    from importlib.metadata import version

    return version("reasoning-gym")
