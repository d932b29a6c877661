"""Coordination: robots go to their goals at the same time, and never meet in a place or on a road."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from cortex.domains.planning.plan_problem import BrokenRuleError, Plan, PlanProblem, Run
from cortex.domains.planning.roads import Roads, check_roads, grid, neighbours, shortest_way


class Coordination(PlanProblem):
    """Robots that share their roads: multi-agent path finding, by the number of steps until all are there."""

    kind: Literal["coordination"] = "coordination"
    roads: Roads
    robots: tuple[str, ...] = Field(min_length=1, max_length=9)
    """Each robot by the letters of its place and its goal, such as `ai`."""

    sign: ClassVar[str] = "R"
    price: ClassVar[str] = "steps"
    rules: ClassVar[str] = (
        "Move robots to their goals. `roads` lists the roads, which lead both ways between two places, and `robots` "
        "each robot's place and goal. In each step every robot stays, or moves along one road, all at the same time. "
        "Two robots may never be in one place, nor change places along a road. The plan has one word for each step: "
        "the letters of the places where the robots are after it, in their order. Bring all robots to their goals in "
        "as few steps as possible."
    )

    @model_validator(mode="after")
    def _on_the_map(self) -> Self:
        check_roads(self.roads)
        places = neighbours(self.roads)
        wrong = next((robot for robot in self.robots if len(robot) != 2 or not set(robot) <= set(places)), None)
        if wrong is not None:
            raise ValueError(f"robot {wrong!r} is not two places of {''.join(places)}, such as 'ai'")
        for name, ends in zip(("start", "goal"), zip(*self.robots, strict=True), strict=True):
            if len(set(ends)) < len(ends):
                raise ValueError(f"two robots have the same {name}, of {', '.join(ends)}")
        if all(start == goal for start, goal in self.robots):
            raise ValueError("every robot is at its goal, so that there is nothing to plan")
        return self

    @property
    def word(self) -> str:
        return f"[a-z]{{{len(self.robots)}}}"

    def brief(self) -> str:
        roads = () if self.roads == STANDARD else ("/", *self.roads)
        return " ".join(("R", *self.robots, *roads))

    @classmethod
    def of_brief(cls, parts: list[str]) -> Self:
        cut = parts.index("/") if "/" in parts else len(parts)
        return cls(roads=tuple(parts[cut + 1 :]) or STANDARD, robots=tuple(parts[:cut]))

    def key(self) -> str:
        return f"coordination {sorted(self.robots)} {sorted(''.join(sorted(road)) for road in self.roads)}"

    def run(self, plan: Plan) -> Run:
        near, at, steps = neighbours(self.roads), tuple(robot[0] for robot in self.robots), list[str]()
        for number, word in enumerate(plan, 1):
            for old, new in zip(at, word, strict=True):
                if new != old and new not in near[old]:
                    raise BrokenRuleError(f"step {number}: no road from {old} to {new}")
            if len(set(word)) < len(word):
                raise BrokenRuleError(f"step {number}: two robots in one place")
            moved = {(old, new) for old, new in zip(at, word, strict=True) if old != new}
            if any((new, old) in moved for old, new in moved):
                raise BrokenRuleError(f"step {number}: two robots change places")
            at = tuple(word)
            steps.append(f"step {number}: robots at {' and '.join(word)}")
        if at != tuple(robot[1] for robot in self.robots):
            raise BrokenRuleError("not all robots are at their goals in the end")
        return Run(len(plan), tuple(steps))

    def greedy(self) -> Plan:
        # Robot after robot, around those that stand, whose goals may be in each other's way.
        at, plan = [robot[0] for robot in self.robots], list[str]()
        for robot, (_, goal) in enumerate(self.robots):
            others = at[:robot] + at[robot + 1 :]
            for place in shortest_way(self.roads, at[robot], goal, closed=others) or ():
                at[robot] = place
                plan.append("".join(at))
        return tuple(plan)


STANDARD = grid(3, 3)
"""The map that a short statement leaves out."""
