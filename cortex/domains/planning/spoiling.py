"""Plans that are worse than the best one, on purpose: what DPO teaches a model to leave."""

import random
from collections.abc import Iterator

from cortex.domains.planning.plan_problem import BrokenRuleError, Plan, PlanProblem


def cost_of(problem: PlanProblem, plan: Plan) -> int | None:
    """The cost of a plan; None where it breaks a rule."""
    try:
        return problem.run(plan).cost
    except BrokenRuleError:
        return None


def spoil(problem: PlanProblem, best: Plan, rng: random.Random) -> Plan | None:
    """A plan that costs more than the best one, or breaks a rule; None where no spoiled copy does.

    Half of them are greedy plans, where those cost more: the mistake that a hasty planner makes.
    """
    cost = cost_of(problem, best)
    greedy = problem.greedy()
    changed = list(_changed(best, rng))
    rng.shuffle(changed)
    for plan in [greedy, *changed] if rng.random() < 0.5 else [*changed, greedy]:
        if plan and cost_of(problem, plan) != cost:
            return plan
    return None


def _changed(best: Plan, rng: random.Random) -> Iterator[Plan]:
    """Copies with two neighbours swapped, a word left out, a word there twice, and a word in place of another."""
    at = rng.randrange(len(best))
    yield (*best[:at], *best[at + 1 :])
    yield (*best[: at + 1], *best[at:])
    yield (*best[:at], rng.choice(best), *best[at + 1 :])
    if len(best) > 1:
        at = rng.randrange(len(best) - 1)
        yield (*best[:at], best[at + 1], best[at], *best[at + 2 :])
