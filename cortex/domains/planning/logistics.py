"""Logistics: a lorry brings boxes from place to place along roads."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from cortex.domains.planning.plan_problem import BrokenRuleError, Plan, PlanProblem, Run
from cortex.domains.planning.roads import Roads, check_roads, neighbours, ring, shortest_way


class Logistics(PlanProblem):
    """Boxes to be delivered in as few steps as possible."""

    kind: Literal["logistics"] = "logistics"
    roads: Roads
    lorry: str
    """The place where the lorry begins."""
    boxes: tuple[str, ...] = Field(min_length=1, max_length=9)
    """Each box by the letters of its place and its goal, such as `ce`."""

    sign: ClassVar[str] = "L"
    price: ClassVar[str] = "steps"
    rules: ClassVar[str] = (
        "Deliver boxes by a lorry. `roads` lists the roads, which lead both ways between two places, `lorry` the "
        "place where it begins, and `boxes` each box's place and goal: box 1 first. The lorry can carry all boxes. A "
        "step is a place's letter (drive there by one road), +1 (load box 1, where the lorry is) or -1 (unload it), "
        "and so on for other boxes. Deliver every box in as few steps as possible."
    )

    @model_validator(mode="after")
    def _on_the_map(self) -> Self:
        check_roads(self.roads)
        places = neighbours(self.roads)
        for each in (self.lorry, *self.boxes):
            for place in each:
                if place not in places:
                    raise ValueError(f"place {place!r} of {each!r} has no road: known are {''.join(places)}")
        if len(self.lorry) != 1:
            raise ValueError(f"lorry is {self.lorry!r}: give one place")
        wrong = next((box for box in self.boxes if len(box) != 2 or box[0] == box[1]), None)
        if wrong is not None:
            raise ValueError(f"box {wrong!r} is not two different places, such as 'ce'")
        return self

    @property
    def word(self) -> str:
        return f"[a-z]|[+-][1-{len(self.boxes)}]"

    def brief(self) -> str:
        roads = () if self.roads == STANDARD else ("/", *self.roads)
        # Numbers beside the boxes, by which a plan names them: a small model need not count.
        return " ".join(("L", self.lorry, *(f"{number}{box}" for number, box in enumerate(self.boxes, 1)), *roads))

    @classmethod
    def of_brief(cls, parts: list[str]) -> Self:
        cut = parts.index("/") if "/" in parts else len(parts)
        boxes = tuple(part[1:] for part in parts[1:cut])
        return cls(roads=tuple(parts[cut + 1 :]) or STANDARD, lorry=parts[0], boxes=boxes)

    def key(self) -> str:
        roads = sorted("".join(sorted(road)) for road in self.roads)
        return f"logistics {self.lorry} {sorted(self.boxes)} {roads}"

    def run(self, plan: Plan) -> Run:
        near, at, where = neighbours(self.roads), self.lorry, [box[0] for box in self.boxes]
        steps: list[str] = []
        for word in plan:
            box = int(word[1:]) - 1 if len(word) > 1 else -1
            if box < 0:
                if word not in near[at]:
                    raise BrokenRuleError(f"no road from {at} to {word}")
                at = word
                steps.append(f"drive to {at}")
            elif word[0] == "+":
                if where[box] != at:
                    raise BrokenRuleError(f"box {box + 1} is not at {at}")
                where[box] = ""
                steps.append(f"load box {box + 1} at {at}")
            else:
                if where[box]:
                    raise BrokenRuleError(f"box {box + 1} is not on the lorry")
                where[box] = at
                steps.append(f"unload box {box + 1} at {at}")
        for number, (place, box) in enumerate(zip(where, self.boxes, strict=True), 1):
            if place != box[1]:
                raise BrokenRuleError(f"box {number} is not at {box[1]} in the end")
        return Run(len(plan), tuple(steps))

    def greedy(self) -> Plan:
        # Box after box, as listed.
        at, plan = self.lorry, list[str]()
        for number, (place, goal) in enumerate(self.boxes, 1):
            plan += [*(shortest_way(self.roads, at, place) or ()), f"+{number}"]
            plan += [*(shortest_way(self.roads, place, goal) or ()), f"-{number}"]
            at = goal
        return tuple(plan)


STANDARD = ring(6)
"""The map that a short statement leaves out."""
