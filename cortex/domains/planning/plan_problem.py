"""A problem that a plan solves: its statement, its rules, and the price of a plan."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict

Plan = tuple[str, ...]
"""The words of a plan, in their order."""

LONGEST_PLAN = 60
"""Words of the longest plan that is read, or that a problem may need."""


class BrokenRuleError(Exception):
    """A plan breaks a rule of its problem; the message says where."""


class Run(NamedTuple):
    """A plan that was carried out to its end."""

    cost: int
    """1 or more; the lower, the better the plan."""
    steps: tuple[str, ...]
    """An account of each step, in plain words."""


class PlanProblem(BaseModel, ABC):
    """One problem, as a line of JSON states it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    kind: Any
    """Each kind declares it as a `Literal` of its name."""

    sign: ClassVar[str]
    """The letter that begins a short statement of this kind."""
    rules: ClassVar[str]
    """The rules and the form of a plan, in prose."""
    price: ClassVar[str]
    """Name of the cost."""

    @property
    @abstractmethod
    def word(self) -> str:
        """Pattern of one word of a plan."""

    @abstractmethod
    def brief(self) -> str:
        """The statement in few characters, each of which can be a token. `of_brief` reads it."""

    @classmethod
    @abstractmethod
    def of_brief(cls, parts: list[str]) -> Self:
        """The problem of a short statement, from its words after the sign. Raises ValueError if it is none."""

    @abstractmethod
    def key(self) -> str:
        """A text that two problems share where they are the same but for the order in which they list things."""

    @abstractmethod
    def run(self, plan: Plan) -> Run:
        """Carry a plan out.

        Raises:
            BrokenRuleError: the plan breaks a rule, or does not reach the goal.
        """

    @abstractmethod
    def greedy(self) -> Plan:
        """The plan of someone who takes one thing after another, and each in its nearest way. It may break a rule."""
