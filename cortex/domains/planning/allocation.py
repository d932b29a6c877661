"""Allocation: tasks are given to people, within the hours that each has, at the least cost."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from cortex.domains.planning.plan_problem import LONGEST_PLAN, BrokenRuleError, Plan, PlanProblem, Run


class Allocation(PlanProblem):
    """Tasks to be given to people as cheaply as possible: the generalized assignment problem."""

    kind: Literal["allocation"] = "allocation"
    costs: tuple[tuple[int, ...], ...]
    """For each task its cost with each person."""
    hours: tuple[int, ...]
    """The hours that each task takes."""
    limits: tuple[int, ...]
    """The hours that each person has."""

    sign: ClassVar[str] = "A"
    price: ClassVar[str] = "units"
    rules: ClassVar[str] = (
        "Give tasks to people. `costs` lists for each task what it costs with each person, `hours` the hours that "
        "each task takes, and `limits` the hours that each person has. The plan is one number for each task, in "
        "their order: the person who does it, from 1. No one may have more hours of tasks than their limit. Make the "
        "sum of the costs as low as possible."
    )

    @model_validator(mode="after")
    def _of_one_size(self) -> Self:
        tasks, people = len(self.costs), len(self.limits)
        if not (1 <= people <= 9 and 1 <= tasks <= LONGEST_PLAN):
            raise ValueError(f"{tasks} tasks and {people} people: give 1 to {LONGEST_PLAN} tasks, and 1 to 9 people")
        if len(self.hours) != tasks or any(len(row) != people for row in self.costs):
            raise ValueError(f"give {tasks} hours, and {people} costs for each task")
        wrong = next((n for row in (*self.costs, self.hours, self.limits) for n in row if not 1 <= n <= 999), None)
        if wrong is not None:
            raise ValueError(f"{wrong} is not from 1 to 999, as costs, hours and limits are")
        return self

    @property
    def word(self) -> str:
        return f"[1-{len(self.limits)}]"

    def brief(self) -> str:
        rows = ["".join(map(str, row)) for row in self.costs]
        hours = () if set(self.hours + self.limits) == {1} else ("/", *("".join(map(str, row)) for row in self._time))
        return " ".join(("A", *rows, *hours))

    @property
    def _time(self) -> tuple[tuple[int, ...], ...]:
        return self.hours, self.limits

    @classmethod
    def of_brief(cls, parts: list[str]) -> Self:
        cut = parts.index("/") if "/" in parts else len(parts)
        costs = tuple(tuple(map(int, row)) for row in parts[:cut])
        if cut == len(parts):
            return cls(costs=costs, hours=(1,) * len(costs), limits=(1,) * len(costs[0]))
        hours, limits = (tuple(map(int, row)) for row in parts[cut + 1 :])
        return cls(costs=costs, hours=hours, limits=limits)

    def key(self) -> str:
        return f"allocation {sorted(zip(self.costs, self.hours, strict=True))} {self.limits}"

    def run(self, plan: Plan) -> Run:
        if len(plan) != len(self.costs):
            raise BrokenRuleError(f"{len(plan)} numbers for {len(self.costs)} tasks")
        left, cost, steps = list(self.limits), 0, list[str]()
        for task, word in enumerate(plan):
            person = int(word) - 1
            left[person] -= self.hours[task]
            if left[person] < 0:
                raise BrokenRuleError(f"person {word} has too few hours for task {task + 1}")
            cost += self.costs[task][person]
            steps.append(f"task {task + 1} to person {word} for {self.costs[task][person]}, {cost} in all")
        return Run(cost, tuple(steps))

    def greedy(self) -> Plan:
        # Task after task to the cheapest person who has the hours; where no one has, to whom has most.
        left, plan = list(self.limits), list[str]()
        for costs, hours in zip(self.costs, self.hours, strict=True):
            able = [person for person, room in enumerate(left) if room >= hours]
            person = min(able, key=costs.__getitem__) if able else left.index(max(left))
            left[person] -= hours
            plan.append(str(person + 1))
        return tuple(plan)
