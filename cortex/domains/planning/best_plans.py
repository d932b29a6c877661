"""The best plan of a problem, and the proof that none is better, by OR-tools' CP-SAT solver.

It runs in one thread and without a clock, so that equal problems have equal plans on every machine. Of equally good
plans each kind has a rule that takes one: a model that imitates them learns a rule, and not the solver's chance.
"""

import itertools
from functools import singledispatch
from typing import TYPE_CHECKING, Any, NamedTuple

from cortex.domains.planning.allocation import Allocation
from cortex.domains.planning.coordination import Coordination
from cortex.domains.planning.logistics import Logistics
from cortex.domains.planning.plan_problem import LONGEST_PLAN, Plan, PlanProblem
from cortex.domains.planning.roads import neighbours, shortest_way
from cortex.domains.planning.scheduling import JOBS, Scheduling
from cortex.domains.planning.statements import name_problem
from cortex.errors import ConfigError, DataError

if TYPE_CHECKING:
    from ortools.sat.python.cp_model import CpModel, CpSolver

EFFORT = 60.0
"""CP-SAT's own measure of work, about seconds, after which a problem counts as too large."""

PATIENCE = 4
"""Steps beyond the longest of the robots' shortest ways, after which it is asked once if there is any plan at all."""


class NoPlanError(DataError):
    """A problem has no plan, or none that is short enough."""


class Best(NamedTuple):
    """A plan, and its cost, which no plan is below."""

    cost: int
    plan: Plan


def check_solver() -> None:
    """Raise ConfigError where OR-tools is not installed."""
    try:
        import ortools.sat.python.cp_model  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"domain planning needs the package ortools: {error}; run `make setup`") from error


def best_plan(problem: PlanProblem) -> Best:
    """The best plan of a problem.

    Raises:
        NoPlanError: no plan solves the problem, or the best one has too many words.
        DataError: the solver cannot prove which plan is best.
    """
    plan = _solve(problem)
    if len(plan) > LONGEST_PLAN:
        raise NoPlanError(
            f"the best plan has {len(plan)} words, more than {LONGEST_PLAN}: take a smaller problem than "
            + name_problem(problem)
        )
    return Best(problem.run(plan).cost, plan)


@singledispatch
def _solve(problem: PlanProblem) -> Plan:
    raise NotImplementedError(type(problem))


@_solve.register
def _(problem: Scheduling) -> Plan:
    model, no_later = _new_model(), sum(minutes for job in problem.jobs for _, minutes in job)
    on_machine: dict[int, list[Any]] = {}
    starts: list[tuple[int, Any]] = []
    end = model.new_int_var(0, no_later, "")
    for at, job in enumerate(problem.jobs):
        ready: Any = 0
        for machine, minutes in job:
            start = model.new_int_var(0, no_later, "")
            on_machine.setdefault(machine, []).append(model.new_fixed_size_interval_var(start, minutes, ""))
            model.add(start >= ready)
            ready = start + minutes
            starts.append((at, start))
        model.add(end >= ready)
    for intervals in on_machine.values():
        model.add_no_overlap(intervals)
    # Of several, the one whose operations begin soonest.
    model.minimize(len(starts) * (no_later + 1) * end + sum(start for _, start in starts))
    solver = _solved(model, problem)
    # Two operations of one machine, or of one job, never start together: no minute is 0.
    order = sorted((solver.value(start), at) for at, start in starts)
    return tuple(JOBS[at] for _, at in order)


@_solve.register
def _(problem: Allocation) -> Plan:
    model, people, tasks = _new_model(), range(len(problem.limits)), range(len(problem.costs))
    given = [[model.new_bool_var("") for _ in people] for _ in tasks]
    for row in given:
        model.add_exactly_one(row)
    for person, limit in enumerate(problem.limits):
        model.add(sum(problem.hours[task] * given[task][person] for task in tasks) <= limit)
    # Of several, the one whose first tasks go to the first people.
    rank = [[person * (len(tasks) - task) for person in people] for task in tasks]
    most = 1 + sum(max(row) for row in rank)
    model.minimize(
        sum((most * problem.costs[task][at] + rank[task][at]) * given[task][at] for task in tasks for at in people)
    )
    solver = _solved(model, problem)
    return tuple(str(1 + next(person for person in people if solver.value(row[person]))) for row in given)


@_solve.register
def _(problem: Logistics) -> Plan:
    """A tour that begins at the lorry, and visits each box's place before its goal."""
    model, count = _new_model(), len(problem.boxes)
    # Stop 0 is the lorry, then come all places of boxes, then all of their goals.
    stops = [problem.lorry, *(box[0] for box in problem.boxes), *(box[1] for box in problem.boxes)]
    ways = {(one, other): shortest_way(problem.roads, one, other) for one in set(stops) for other in set(stops)}
    when = [model.new_int_var(0, len(stops) - 1, "") for _ in stops]
    arcs: list[tuple[int, int, Any]] = []
    lengths: list[Any] = []
    for one, start in enumerate(stops):
        for other, goal in enumerate(stops):
            way = ways[start, goal]
            if one != other and (other == 0 or way is not None):
                arc = model.new_bool_var("")
                arcs.append((one, other, arc))
                if other:
                    model.add(when[other] == when[one] + 1).only_enforce_if(arc)
                    lengths.append(len(way or ()) * arc)  # the way back to the lorry's place is not driven
    model.add(when[0] == 0)
    model.add_circuit(arcs)
    for box in range(1, count + 1):
        model.add(when[box] < when[count + box])
    # Of several, the one that visits the first boxes' places and goals first.
    most = 1 + len(stops) ** 3
    model.minimize(most * sum(lengths) + sum((len(stops) - stop) * at for stop, at in enumerate(when)))
    solver = _solved(model, problem)
    plan: list[str] = []
    tour = sorted(range(len(stops)), key=lambda stop: solver.value(when[stop]))
    for one, other in itertools.pairwise(tour):
        plan += [*(ways[stops[one], stops[other]] or ()), f"+{other}" if other <= count else f"-{other - count}"]
    return tuple(plan)


@_solve.register
def _(problem: Coordination) -> Plan:
    """The first number of steps for which the solver finds moves, having proved that no smaller one has any."""
    ways = [shortest_way(problem.roads, *robot) for robot in problem.robots]
    if None not in ways:
        fewest = max(len(way or ()) for way in ways)
        for steps in range(fewest, LONGEST_PLAN + 1):
            found = _moves(problem, steps)
            if found is not None:
                return found
            # Robots may wait at their goals: what is impossible in the most steps is so in any number below.
            if steps == fewest + PATIENCE and _moves(problem, LONGEST_PLAN) is None:
                break
    raise NoPlanError(
        f"no plan of at most {LONGEST_PLAN} steps solves {name_problem(problem)}: change it or leave it out"
    )


def _moves(problem: Coordination, steps: int) -> Plan | None:
    model, near, robots = _new_model(), neighbours(problem.roads), range(len(problem.robots))
    at = [[{place: model.new_bool_var("") for place in near} for _ in robots] for _ in range(steps + 1)]
    for robot, (start, goal) in enumerate(problem.robots):
        model.add(at[0][robot][start] == 1)
        model.add(at[steps][robot][goal] == 1)
    for step in range(steps + 1):
        for robot in robots:
            model.add_exactly_one(at[step][robot].values())
        for place in near:
            model.add_at_most_one(at[step][robot][place] for robot in robots)
    for old, new in itertools.pairwise(at):
        for place, next_to in near.items():
            for robot in robots:
                model.add_bool_or(new[robot][each] for each in (place, *next_to)).only_enforce_if(old[robot][place])
                for other in robots:
                    for goal in next_to:
                        if robot < other:  # they do not change places
                            pair = (old[robot][place], new[robot][goal], old[other][goal], new[other][place])
                            model.add_bool_or(each.negated() for each in pair)
    # Of several, the one whose robots arrive soonest, and then by the first places of the alphabet.
    most = 1 + (steps + 1) * len(robots) * len(near)
    late = [
        (most * (place != problem.robots[robot][1]) + rank) * at[step][robot][place]
        for step in range(steps + 1)
        for robot in robots
        for rank, place in enumerate(near)
    ]
    model.minimize(sum(late))
    solver = _run(model, problem)
    if solver is None:
        return None
    return tuple(
        "".join(next(place for place in near if solver.value(at[step][robot][place])) for robot in robots)
        for step in range(1, steps + 1)
    )


def _new_model() -> "CpModel":
    from ortools.sat.python.cp_model import CpModel

    return CpModel()


def _solved(model: "CpModel", problem: PlanProblem) -> "CpSolver":
    solver = _run(model, problem)
    if solver is None:
        raise NoPlanError(f"no plan solves {name_problem(problem)}: change it or leave it out")
    return solver


def _run(model: "CpModel", problem: PlanProblem) -> "CpSolver | None":
    """The solver with a proven optimum; None where it has proven that there is no solution."""
    from ortools.sat.python.cp_model import INFEASIBLE, OPTIMAL, CpSolver

    solver = CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = EFFORT
    status = solver.solve(model)
    if status == INFEASIBLE:
        return None
    if status != OPTIMAL:
        raise DataError(f"the solver cannot prove the best plan of {name_problem(problem)}: take a smaller problem")
    return solver
