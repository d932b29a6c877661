"""Planning as a domain: problems with a proven best plan, and replies that are judged by rules and by their cost."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, JsonValue, PrivateAttr, model_validator

from cortex.domains.data_words import DataWords
from cortex.domains.domain import Built, Domain, Exemplars
from cortex.domains.label_finding import Finding
from cortex.domains.planning.plan_measures import MEASURES
from cortex.domains.planning.plan_problem import PlanProblem
from cortex.domains.planning.plan_words import CARD, NOTES, data_words
from cortex.domains.planning.problem_sizes import (
    AllocationSizes,
    CoordinationSizes,
    LogisticsSizes,
    SchedulingSizes,
    Sizes,
)
from cortex.domains.planning.statements import KINDS, Style, find_problem, read_problem
from cortex.domains.question import Example, Question, Split
from cortex.domains.reward_parts import RewardPart
from cortex.errors import DataError
from cortex.evaluation.card_words import CardWords
from cortex.evaluation.graded import Graded
from cortex.evaluation.measure import Measure, Scale
from cortex.section import UserPath
from cortex.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from cortex.evaluation.grades import Grades

# Methods import polars and OR-tools when they need them: grades need neither.


class Planning(Domain):
    """Problems of scheduling, logistics, allocation and coordination, whose best plans a solver has proven."""

    kind: Literal["planning"] = "planning"
    """Names this domain."""
    style: Style = "full"
    """Form of questions and answers: rules in prose, JSON and reasoning (`full`), or few characters for a small model
    (`compact`)."""
    scheduling: SchedulingSizes = SchedulingSizes()
    """Job shops: order the operations of jobs on machines."""
    logistics: LogisticsSizes = LogisticsSizes()
    """Deliveries: a lorry brings boxes to their goals along roads."""
    allocation: AllocationSizes = AllocationSizes()
    """Allocations: give tasks to people within their hours."""
    coordination: CoordinationSizes = CoordinationSizes()
    """Coordination: robots go to their goals without meeting."""
    problems: UserPath | None = None
    """A file of problems, a line of JSON each, in place of drawn ones."""
    examples: int = Field(default=4000, ge=10, le=500_000)
    """Training problems of all kinds together."""
    validation_examples: int = Field(default=400, ge=8, le=100_000)
    """Validation problems."""
    test_examples: int = Field(default=1000, ge=10, le=100_000)
    """Test problems."""
    faults: float = Field(default=0.3, ge=0, le=1)
    """Share of the scripted teacher's plans in a rehearsal that are greedy ones, most of which cost too much."""

    scale: ClassVar[Scale] = Scale(
        loss="excess cost", skill="skill", clusters="problems", reference="usual", rivals=("drawn", "greedy")
    )
    measures: ClassVar[tuple[Measure, ...]] = MEASURES
    unwritten: ClassVar[tuple[str, ...]] = (*Domain.unwritten, "problems")

    _likeliest: dict[tuple[tuple[str, float], ...], str] = PrivateAttr(default_factory=dict)
    """The plan that is best by each belief that was asked about: a check asks about one belief hundreds of times."""

    @model_validator(mode="after")
    def _weigh_something(self) -> Self:
        if not sum(sizes.weight for sizes in self._sizes().values()):
            raise ValueError("the kinds' weights sum to 0, so that there is nothing to plan: give one a weight above 0")
        return self

    def check(self, settings: Settings) -> None:
        from cortex.domains.planning.best_plans import check_solver
        from cortex.domains.planning.problem_file import read_problems

        check_solver()
        if self.problems is not None:
            read_problems(self.problems)

    def files(self) -> "tuple[Path, ...]":
        return () if self.problems is None else (self.problems,)

    def build(self, seed: int, settings: Settings) -> Built:
        import hashlib
        from importlib.metadata import version

        from cortex.domains.planning.problem_drawing import draw_examples, read_examples

        self.check(settings)
        source: dict[str, object] = {"style": self.style, "solver": f"ortools {version('ortools')}"}
        if self.problems is not None:
            frame = read_examples(self.problems, self.style)
            source = {"name": "problems", "sha256": hashlib.sha256(self.problems.read_bytes()).hexdigest(), **source}
        else:
            counts: dict[Split, int] = {
                "train": self.examples,
                "validation": self.validation_examples,
                "test": self.test_examples,
            }
            frame = draw_examples(self._drawn(), counts, self.style, seed)
            sizes = {name: sizes.model_dump(mode="json") for name, sizes in self._drawn().items()}
            source = {"name": "generator", "seed": seed, "sizes": sizes, **source}
        kinds = frame["kind"].unique().sort().to_list()
        return Built(frame, source, simulated=False, summary=f"problems of {', '.join(kinds)} with their best plans")

    def grade(self, example: Example, reply: str) -> Graded:
        from cortex.domains.planning.plan_replies import read_plan
        from cortex.domains.planning.spoiling import cost_of

        problem, best = _truth(example)
        plan = read_plan(problem, reply, self.style)
        if plan is None:
            return _graded(0.0, obeys=False, readable=False, problem=problem)
        cost = cost_of(problem, plan)
        return _graded(best / cost if cost else 0.0, obeys=cost is not None, readable=True, problem=problem)

    def reward_parts(self) -> tuple[RewardPart, ...]:
        return (
            RewardPart(
                "plan", 1.0, "best cost / cost of the plan; 0 for one that breaks a rule", elicits="a best plan"
            ),
            RewardPart("valid", 0.2, "1 for a plan that keeps all rules and reaches the goal, else 0"),
            RewardPart("format", 0.1, "1 for a reply in the form asked for, else 0"),
        )

    def honest_reply(self, question: Question, believed: Sequence[tuple[Example, float]]) -> str:
        from cortex.domains.planning.plan_replies import join_words, write_answer
        from cortex.domains.planning.thoughtless_plans import kind_of, likeliest_plan

        problem = find_problem(question.text)
        alike = [(example, share) for example, share in believed if problem and kind_of(example) == problem.kind]
        if not problem:
            return write_answer("", self.style)
        if not alike:
            return write_answer(join_words(problem.greedy(), self.style), self.style)
        belief = tuple((example.id, share) for example, share in alike)
        if belief not in self._likeliest:
            self._likeliest[belief] = likeliest_plan(alike, self._worth)
        return write_answer(self._likeliest[belief], self.style)

    def imitable(self, question: Question, reply: str) -> Finding:
        from cortex.domains.planning.plan_problem import BrokenRuleError
        from cortex.domains.planning.plan_replies import read_plan

        problem = find_problem(question.text)
        if problem is None:
            return Finding("flagged", ("the question states no problem that can be read",))
        plan = read_plan(problem, reply, self.style)
        if plan is None:
            return Finding("rejected", ("not in the form asked for",))
        try:
            problem.run(plan)
        except BrokenRuleError as error:
            return Finding("rejected", (f"the plan breaks a rule: {error}",))
        return Finding("accepted")

    def script(self, question: Question, seed: int) -> str:
        import random

        from cortex.domains.planning.best_plans import best_plan
        from cortex.domains.planning.plan_replies import write_reply

        problem = find_problem(question.text)
        if problem is None:
            return "I do not know."
        hasty = random.Random(f"{seed} {question.text}").random() < self.faults
        return write_reply(problem, problem.greedy() if hasty else best_plan(problem).plan, self.style)

    def preferred(self, example: Example) -> tuple[str, str] | None:
        import random

        from cortex.domains.planning.plan_replies import split_words, write_reply
        from cortex.domains.planning.spoiling import spoil
        from cortex.domains.planning.thoughtless_plans import plan_of

        problem, _ = _truth(example)
        best = split_words(problem, plan_of(example), self.style)
        worse = spoil(problem, best, random.Random(example.id)) if best else None
        if best is None or worse is None:
            return None
        return write_reply(problem, best, self.style), write_reply(problem, worse, self.style)

    def baselines(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, list[Graded]]:
        from cortex.domains.example_columns import read_rows
        from cortex.domains.planning.plan_replies import join_words, write_answer
        from cortex.domains.planning.thoughtless_plans import thoughtless_plans

        asked = list(read_rows(test))
        plans = dict(thoughtless_plans(list(read_rows(train)), asked))
        plans["greedy"] = [join_words(_truth(example)[0].greedy(), self.style) for example in asked]
        return {
            name: [
                self.grade(example, write_answer(plan, self.style)) for example, plan in zip(asked, found, strict=True)
            ]
            for name, found in plans.items()
        }

    def exemplars(self, example: Example) -> Exemplars:
        from cortex.domains.planning.plan_replies import split_words, write_answer, write_reply
        from cortex.domains.planning.thoughtless_plans import plan_of

        problem, _ = _truth(example)
        best = split_words(problem, plan_of(example), self.style)
        gold = write_reply(problem, best or (), self.style)
        gaming = {
            "nothing": "",
            "no answer": "the plan is the best one",
            "empty plan": write_answer("", self.style),
            "two plans": gold + gold,
            "a claim": write_answer("the shortest plan, of cost 1", self.style),
            "the question again": write_answer(example.text, self.style),
            "endless plan": write_answer(plan_of(example) * 4000, self.style),
        }
        return Exemplars(gold, gaming=gaming)

    def facts(self, train: "pl.DataFrame", test: "pl.DataFrame") -> dict[str, str]:
        counts = test["kind"].value_counts().sort("kind").iter_rows()
        return {"test problems by kind": ", ".join(f"{name} {count:,}" for name, count in counts)}

    def describe_split(self, rows: "pl.LazyFrame") -> dict[str, JsonValue]:
        return {"kinds": dict(rows.group_by("kind").len().sort("kind").collect().iter_rows())}

    def truth_words(self, example: Example) -> str:
        from cortex.domains.planning.thoughtless_plans import plan_of

        problem, best = _truth(example)
        return f"the least cost is {best} {problem.price}, as of the plan {plan_of(example)}"

    def details(self, grades: "Grades") -> dict[str, JsonValue]:
        from cortex.domains.planning.plan_measures import by_kind

        return {"by_kind": by_kind(grades, [_name(kind) for kind in KINDS])}

    def notes(self) -> tuple[str, ...]:
        return NOTES

    def data_words(self, described: Mapping[str, Any]) -> DataWords:
        return data_words(described["source"]["name"])

    def card(self) -> CardWords:
        return CARD

    def small(self) -> Self:
        return type(self)(style="compact", examples=600, validation_examples=60, test_examples=120)

    def _sizes(self) -> dict[str, Sizes]:
        return {_name(kind): getattr(self, _name(kind)) for kind in KINDS}

    def _drawn(self) -> dict[str, Sizes]:
        return {name: sizes for name, sizes in self._sizes().items() if sizes.weight}

    def _worth(self, example: Example, plan: str) -> float:
        from cortex.domains.planning.plan_replies import write_answer

        return self.reward(self.grade(example, write_answer(plan, self.style)))


def _name(kind: type[PlanProblem]) -> str:
    return str(kind.model_fields["kind"].default)


def _truth(example: Example) -> tuple[PlanProblem, int]:
    """The problem of an example, and the least cost of a plan for it.

    Raises:
        DataError: the truth is of another form than this domain writes.
    """
    try:
        truth: Any = example.truth
        return read_problem(truth["problem"]), int(truth["cost"])
    except (TypeError, KeyError, ValueError) as error:
        raise DataError(
            f"example {example.id!r} has a truth of another form than domain planning writes: build the examples anew"
        ) from error


def _graded(worth: float, *, obeys: bool, readable: bool, problem: PlanProblem) -> Graded:
    """The grade of a plan whose best cost is the share `worth` of its own."""
    numbers = {
        "obeys": float(obeys),
        "optimal": float(worth == 1),
        "gap": 1 / worth - 1 if worth else 0.0,
        "kind": float(KINDS.index(type(problem))),
    }
    return Graded(1 - worth, readable, {"plan": worth, "valid": float(obeys), "format": float(readable)}, numbers)
