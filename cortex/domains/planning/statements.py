"""Statements of problems: one letter begins a short one, prose and a line of JSON make a full one."""

import json
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from cortex.domains.planning.allocation import Allocation
from cortex.domains.planning.coordination import Coordination
from cortex.domains.planning.logistics import Logistics
from cortex.domains.planning.plan_problem import PlanProblem
from cortex.domains.planning.scheduling import Scheduling

Style = Literal["full", "compact"]

KINDS: tuple[type[PlanProblem], ...] = (Scheduling, Logistics, Allocation, Coordination)

INSTRUCTIONS = (
    "Reason step by step inside <think> tags. Then write the plan alone, its words separated by single spaces, inside "
    "<answer> tags."
)

_PROBLEM: TypeAdapter[PlanProblem] = TypeAdapter(
    Annotated[Scheduling | Logistics | Allocation | Coordination, Field(discriminator="kind")]
)


def state(problem: PlanProblem, style: Style) -> str:
    """The question that asks for a plan."""
    if style == "compact":
        return problem.brief()
    return f"{problem.rules}\n\n{problem.model_dump_json()}\n\n{INSTRUCTIONS}"


@lru_cache(maxsize=65536)
def read_problem(text: str) -> PlanProblem:
    """The problem of a line of JSON. Raises pydantic's ValidationError if it is none."""
    return _PROBLEM.validate_json(text)


def find_problem(question: str) -> PlanProblem | None:
    """The problem that a question states in either style; None where it states none."""
    lines = [line for line in question.split("\n") if line.startswith('{"kind":')]
    try:
        if lines:
            return read_problem(lines[-1])
        sign, *parts = question.split()
        kind = next(kind for kind in KINDS if kind.sign == sign)
        return kind.of_brief(parts)
    except (ValidationError, ValueError, IndexError, StopIteration):
        return None


def name_problem(problem: PlanProblem) -> str:
    """A problem's JSON, cut where it is long, for messages."""
    text = json.dumps(problem.model_dump(mode="json"))
    return text if len(text) <= 160 else f"{text[:157]}..."
