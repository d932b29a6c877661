"""Questions that need tools as a domain: replies may call, and the last turn is judged."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, JsonValue, model_validator

from cortex.domains.data_words import DataWords, SourceTerms
from cortex.domains.domain import Built, Domain, Exemplars
from cortex.domains.endpoint import Endpoint
from cortex.domains.episode import Episode, ToolTurns
from cortex.domains.label_finding import Finding
from cortex.domains.question import Conversation, Example, Question
from cortex.domains.reward_parts import RewardPart
from cortex.domains.tools.tool_calls import TAGS, Style
from cortex.domains.tools.tool_questions import KindName
from cortex.domains.tools.toolbox import ToolName
from cortex.evaluation.card_words import CardWords
from cortex.evaluation.graded import Graded
from cortex.evaluation.measure import Measure, Scale
from cortex.section import Items
from cortex.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from cortex.domains.tools.made_world import World
    from cortex.domains.tools.toolbox import Toolbox
    from cortex.evaluation.grades import Grades

# Each method imports what it needs: reading a profile must not take the time of importing polars.


class Tools(Domain):
    """Questions that need a calculator, a search, a price table, a calendar or a database."""

    kind: Literal["tools"] = "tools"
    """Names this domain."""
    questions: dict[KindName, float] = Field(
        default={"calculator": 1, "search": 1, "price": 1, "trading_days": 1, "sql": 1}, min_length=1
    )
    """Kinds of questions, with their shares of the examples. `change` takes two prices and a calculation."""
    tools: Items[ToolName] = ("calculator", "search", "price", "trading_days", "sql")
    """Tools that a model may call."""
    style: Style = "full"
    """Form of the prompts and calls: prose and JSON (`full`), or few words for a small model (`compact`)."""
    world: int = Field(default=0, ge=0)
    """Seed of the made world: its prices, its corpus and its table. Runs with other seeds ask about the same world."""
    examples: int = Field(default=4000, ge=10, le=200_000)
    """Questions of all splits together; equal ones count once."""
    max_rounds: int = Field(default=4, ge=1, le=50)
    """Replies with calls that are answered; the next reply is the last."""
    answer_characters: int = Field(default=400, ge=40, le=20_000)
    """Longest answer of a tool; the rest is cut off."""
    format_weight: float = Field(default=0.1, ge=0, le=1)
    """Reward for a last reply in the form asked for, beside 1 for a right answer."""
    faults: float = Field(default=0.6, ge=0, le=1)
    """Share of the scripted teacher's questions in a rehearsal that it answers by a guess, without a call: GRPO has to
    undo what SFT learned of them."""

    scale: ClassVar[Scale] = Scale(
        loss="error", skill="skill", clusters="questions", reference="usual", rivals=("drawn", "remembered")
    )
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("score", "Right", of="right", form=".1%"),
        Measure("calls", "Calls a question", of="calls", form=".2f"),
        Measure("mistakes", "Calls that failed", of="mistakes", form=".2f"),
    )

    @model_validator(mode="after")
    def _tools_for_all(self) -> "Tools":
        from cortex.domains.tools.tool_questions import KINDS

        if not sum(self.questions.values()) or min(self.questions.values()) < 0:
            raise ValueError("questions: give shares of 0 or more, and one above 0")
        needed = {str(KINDS[name].tool) for name in self.questions} | ({"calculator"} & set(self.tools))
        if "change" in self.questions:
            needed.add("calculator")
        missing = sorted(needed - set(self.tools))
        if missing:
            raise ValueError(f"questions need the tools {', '.join(missing)}: add them to `tools`")
        return self

    def build(self, seed: int, settings: Settings) -> Built:
        from cortex.domains.tools.tool_drawing import draw_examples

        frame = draw_examples(self._toolbox(""), self.questions, self.examples, seed, self.max_rounds)
        source = {"name": "made world", "seed": seed, "world": self.world, "questions": dict(self.questions)}
        summary = f"questions for {', '.join(self.tools)}"
        return Built(frame, source, simulated=True, summary=summary)

    def _world(self) -> "World":
        from cortex.domains.tools.made_world import make_world

        return make_world(self.world, self.style)

    def _toolbox(self, today: str) -> "Toolbox":
        from cortex.domains.tools.toolbox import Toolbox

        return Toolbox(self._world(), self.tools, self.style, today, self.answer_characters)

    def episode(self, example: Example) -> Episode:
        from cortex.domains.tools.tool_questions import today_of
        from cortex.domains.tools.toolbox import ToolUse

        return ToolUse(self._toolbox(today_of(example.text, self.style, self._world())), self.max_rounds)

    def tool_turns(self) -> ToolTurns:
        return ToolTurns(TAGS[self.style][0], self.max_rounds)

    def grade(self, example: Example, reply: str) -> Graded:
        from cortex.domains.tools.tool_prompt import read_answer, same

        answer = read_answer(reply)
        right = float(answer is not None and same(answer, str(example.truth)))
        return Graded(
            1 - right,
            answer is not None,
            {"answer": right, "format": float(answer is not None)},
            {"right": right, "calls": 0.0, "mistakes": 0.0},
        )

    def grade_turns(self, example: Example, turns: Conversation) -> Graded:
        from cortex.domains.tools.toolbox import ERROR

        graded = self.grade(example, turns[-1].content)
        told = [line for turn in turns if turn.role == "tool" for line in turn.content.splitlines()]
        calls = sum(turn.content.count(TAGS[self.style][0]) for turn in turns if turn.role == "assistant")
        mistakes = sum(line.startswith(ERROR) for line in told)
        return replace(graded, numbers={**graded.numbers, "calls": float(calls), "mistakes": float(mistakes)})

    def reward_parts(self) -> tuple[RewardPart, ...]:
        return (
            RewardPart("answer", 1.0, "1 for the right answer, else 0", elicits="the answer that is likeliest right"),
            RewardPart("format", self.format_weight, "1 for a last reply in the form asked for, else 0"),
        )

    def honest_reply(self, question: Question, believed: "Sequence[tuple[Example, float]]") -> str:
        from cortex.domains.tools.tool_baselines import likeliest_answer
        from cortex.domains.tools.tool_prompt import write_answer

        return write_answer(likeliest_answer(question, believed))

    def imitable(self, question: Question, reply: str) -> Finding:
        from cortex.domains.tools.tool_calls import has_call
        from cortex.domains.tools.tool_prompt import read_answer

        if has_call(reply, self.style) or read_answer(reply) is not None:
            return Finding("accepted")
        return Finding("rejected", ("neither a call nor an answer in the form asked for",))

    def script(self, question: Question, seed: int) -> str:
        from cortex.domains.tools.tool_script import play

        return play(question.messages, self._world(), self.style, seed, self.faults)

    def baselines(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, list[Graded]]:
        from cortex.domains.example_columns import read_rows
        from cortex.domains.tools.tool_baselines import callless_answers
        from cortex.domains.tools.tool_prompt import write_answer

        asked = list(read_rows(test))
        found = callless_answers(list(read_rows(train)), asked)
        return {
            name: [self.grade(example, write_answer(text)) for example, text in zip(asked, answers, strict=True)]
            for name, answers in found.items()
        }

    def exemplars(self, example: Example) -> Exemplars:
        from cortex.domains.tools.tool_prompt import write_answer

        gold = write_answer(str(example.truth))
        opening, closing = TAGS[self.style]
        gaming = {
            "nothing": "",
            "no answer": "the answer is inside",
            "empty answer": write_answer(""),
            "many answers": gold + write_answer("0"),
            "a call for an answer": f"{opening}{closing}",
        }
        return Exemplars(gold, gaming=gaming)

    def facts(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, str]:
        counts = test["question"].value_counts().sort("question").iter_rows()
        return {"test questions by kind": ", ".join(f"{name} {count:,}" for name, count in counts)}

    def truth_words(self, example: Example) -> str:
        return f"the answer is {example.truth}"

    def details(self, grades: "Grades") -> dict[str, JsonValue]:
        return {"calls": float(grades.numbers["calls"].mean()), "mistakes": float(grades.numbers["mistakes"].mean())}

    def endpoint(self, dataset: Mapping[str, Any], seed: int, settings: Settings) -> Endpoint:
        from cortex.domains.tools.tool_endpoint import ToolEndpoint
        from cortex.domains.tools.tool_prompt import write_prompt

        return ToolEndpoint(self, lambda text: write_prompt(text, self.tools, self.style, self.max_rounds))

    def notes(self) -> tuple[str, ...]:
        return (
            "The error is 1 for a wrong answer, and 0 for a right one. No baseline calls a tool: `usual` gives the "
            "most frequent training answer of a kind, `drawn` a random one, `remembered` that of the most similar "
            "question.",
            "Prices and days are told as they were known on the day of the question.",
        )

    def card(self) -> CardWords:
        what = f"answers questions with the help of tools: {', '.join(self.tools)}."
        return CardWords(what=what, task="question-answering", dataset_type="tools")

    def data_words(self, described: Mapping[str, Any]) -> DataWords:
        terms = SourceTerms("made world", "Drawn by the kit; no data of others are in it.")
        return DataWords("An example is a question that tools can answer, with its answer.", (terms,))
