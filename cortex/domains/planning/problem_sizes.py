"""The sizes of drawn problems, and the drawing of one."""

import random
from typing import Self

from pydantic import Field, model_validator

from cortex.domains.planning.allocation import Allocation
from cortex.domains.planning.coordination import Coordination
from cortex.domains.planning.logistics import Logistics
from cortex.domains.planning.plan_problem import PlanProblem
from cortex.domains.planning.roads import PLACES, Roads, grid, neighbours, ring
from cortex.domains.planning.scheduling import Scheduling
from cortex.section import Items, Section


class Sizes(Section):
    """The sizes of one kind of problems."""

    weight: float = Field(default=1.0, ge=0)
    """Share of the examples, beside the other kinds' weights."""

    def draw(self, rng: random.Random) -> PlanProblem | None:
        """One problem, which may have no plan; None where nothing came of the draw."""
        raise NotImplementedError


class SchedulingSizes(Sizes):
    """Job shops, in which each job needs every machine once."""

    jobs: Items[int] = (3,)
    """Counts of jobs, one of which each problem has."""
    machines: int = Field(default=2, ge=1, le=9)
    """Machines."""
    longest: int = Field(default=9, ge=1, le=999)
    """Minutes of the longest operation."""

    def draw(self, rng: random.Random) -> PlanProblem:
        count = rng.choice(self.jobs)
        orders = [rng.sample(range(1, self.machines + 1), self.machines) for _ in range(count)]
        jobs = tuple(tuple((machine, rng.randint(1, self.longest)) for machine in order) for order in orders)
        return Scheduling(jobs=jobs)


class LogisticsSizes(Sizes):
    """Deliveries on a ring of places, with some roads across it."""

    places: int = Field(default=6, ge=3, le=26)
    """Places on the ring."""
    boxes: Items[int] = (1, 2)
    """Counts of boxes, one of which each problem has."""
    roads_across: int = Field(default=0, ge=0, le=20)
    """Roads besides the ring's, other ones in each problem."""

    def draw(self, rng: random.Random) -> PlanProblem:
        places = PLACES[: self.places]
        boxes = tuple("".join(rng.sample(places, 2)) for _ in range(rng.choice(self.boxes)))
        roads = _crossed(ring(self.places), places, self.roads_across, rng)
        return Logistics(roads=roads, lorry=rng.choice(places), boxes=boxes)


class AllocationSizes(Sizes):
    """Tasks to be given to people."""

    tasks: int = Field(default=3, ge=1, le=30)
    """Tasks."""
    people: int = Field(default=3, ge=1, le=9)
    """People."""
    dearest: int = Field(default=9, ge=1, le=999)
    """The highest cost."""
    longest: int = Field(default=1, ge=1, le=9)
    """Hours of the longest task. 1: every task takes an hour."""
    limit: int = Field(default=1, ge=1, le=99)
    """Hours that each person has. 1, with hours of 1: each person does at most one task."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.people * self.limit < self.tasks * (1 + self.longest) / 2:
            raise ValueError(
                f"{self.people} people of {self.limit} hours have too little time for {self.tasks} tasks of up to "
                f"{self.longest} hours: raise `limit`"
            )
        return self

    def draw(self, rng: random.Random) -> PlanProblem:
        costs = tuple(tuple(rng.randint(1, self.dearest) for _ in range(self.people)) for _ in range(self.tasks))
        hours = tuple(rng.randint(1, self.longest) for _ in range(self.tasks))
        return Allocation(costs=costs, hours=hours, limits=(self.limit,) * self.people)


class CoordinationSizes(Sizes):
    """Robots on a grid, some of whose roads may be closed."""

    width: int = Field(default=3, ge=2, le=5)
    """Places in a row."""
    height: int = Field(default=3, ge=2, le=5)
    """Rows."""
    robots: Items[int] = (2,)
    """Counts of robots, one of which each problem has."""
    closed: int = Field(default=0, ge=0, le=10)
    """Roads of the grid that are closed, other ones in each problem."""

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if max(self.robots) >= self.width * self.height:
            raise ValueError(f"{max(self.robots)} robots fill all of {self.width} x {self.height} places: take fewer")
        return self

    def draw(self, rng: random.Random) -> PlanProblem | None:
        roads = grid(self.width, self.height)
        shut = set(rng.sample(roads, min(self.closed, len(roads) - 1)))
        roads = tuple(road for road in roads if road not in shut)
        places, count = list(neighbours(roads)), rng.choice(self.robots)
        if count > len(places):  # too many roads are closed
            return None
        starts, goals = rng.sample(places, count), rng.sample(places, count)
        if starts == goals:
            return None
        return Coordination(roads=roads, robots=tuple(map("".join, zip(starts, goals, strict=True))))


def _crossed(roads: Roads, places: str, count: int, rng: random.Random) -> Roads:
    joined = {frozenset(road) for road in roads}
    absent = [a + b for at, a in enumerate(places) for b in places[at + 1 :] if frozenset((a, b)) not in joined]
    return (*roads, *rng.sample(absent, min(count, len(absent))))
