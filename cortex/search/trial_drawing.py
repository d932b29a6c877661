"""The next trials of a search, drawn from its seed and from the trials that have ended: the same each time.

Trials come in rounds of `at_once`. A round is drawn from the outcomes of earlier rounds alone, so that it does not
matter in which order the trials of a round end, nor where the search was interrupted. Optuna keeps nothing: each round
gets a study in memory, which is told all trials that have ended.
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from cortex.search.search_plan import SearchPlan
from cortex.search.search_space import Space, Span, corners
from cortex.search.trial_outcome import Outcome

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

AT_RANDOM = 4
"""The least number of first trials that TPE draws at random: it has to know some losses before it can model them."""

ATTEMPTS = 100
"""Draws of one trial, of which the first that was not tried yet is taken."""

Parameters = dict[str, JsonValue]


def next_round(plan: SearchPlan, ended: Sequence[Outcome]) -> list[Parameters]:
    """The parameters of the next round's trials; fewer than `at_once`, or none, at the end.

    `ended` are the outcomes of all earlier rounds, in the order of their trials.
    """
    count = min(plan.at_once, plan.trials - len(ended))
    if plan.method == "grid":
        values = corners(plan.over)
        rows = itertools.islice(itertools.product(*values.values()), len(ended), len(ended) + count)
        return [dict(zip(values, row, strict=True)) for row in rows]
    return _draw(plan, ended, count)


def is_behind(plan: SearchPlan, curve: Mapping[int, float], earlier: Sequence[Outcome]) -> int | None:
    """The first step at which a trial is behind the median of the earlier ones; None where it never is.

    `curve` is the trial's validated loss by step, `earlier` the outcomes of earlier rounds. By Optuna's median pruner.
    """
    if plan.stop_behind is None or sum(one.state == "finished" for one in earlier) < plan.stop_behind:
        return None
    import optuna

    pruner = optuna.pruners.MedianPruner(n_startup_trials=plan.stop_behind, n_min_trials=plan.stop_behind)
    study = _study(optuna.samplers.RandomSampler(seed=0), plan.over, earlier)
    for step in sorted(curve):
        seen = {known: loss for known, loss in curve.items() if known <= step}
        trial = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING, intermediate_values=seen)
        if pruner.prune(study, trial):
            return step
    return None


def _draw(plan: SearchPlan, ended: Sequence[Outcome], count: int) -> list[Parameters]:
    import optuna

    # A round's sampler has a seed of its own: one generator for all rounds would depend on where the search began.
    seed = (plan.seed * 1_000_003 + len(ended)) % 2**32
    startup = max(AT_RANDOM, min(10, plan.trials // 4))
    if plan.method == "tpe":
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
    else:
        sampler = optuna.samplers.RandomSampler(seed=seed)
    study, distributions = _study(sampler, plan.over, ended), _distributions(plan.over)
    tried = [one.trial.parameters for one in ended]
    drawn: list[Parameters] = []
    for _ in range(count * ATTEMPTS):
        if len(drawn) == count:
            break
        found = study.ask(distributions)
        parameters = {key: _value(plan.over[key], value) for key, value in found.params.items()}
        if parameters in tried:
            study.tell(found, state=optuna.trial.TrialState.FAIL)
            continue
        tried.append(parameters)
        drawn.append(parameters)
    return drawn


def _study(sampler: "optuna.samplers.BaseSampler", space: Space, ended: Sequence[Outcome]) -> "optuna.Study":
    """A study in memory that knows the trials that have ended."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=sampler, direction="minimize")
    distributions = _distributions(space)
    for one in ended:
        if one.state == "finished":
            state, value = optuna.trial.TrialState.COMPLETE, one.value
        elif one.state == "behind" and one.curve:
            state, value = optuna.trial.TrialState.PRUNED, min(one.curve.values())
        else:
            continue
        params = {key: _told(space[key], one.trial.parameters[key]) for key in space}
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=value,
                params=params,
                distributions=distributions,
                intermediate_values=dict(one.curve),
            )
        )
    return study


def _distributions(space: Space) -> "dict[str, BaseDistribution]":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for key, each in space.items():
        if not isinstance(each, Span):
            # Optuna's choices are texts and numbers, and a profile's values may be lists and mappings.
            found[key] = CategoricalDistribution([json.dumps(value, sort_keys=True) for value in each])
        elif each.whole:
            found[key] = IntDistribution(int(each.low), int(each.high), log=each.log)
        else:
            found[key] = FloatDistribution(float(each.low), float(each.high), log=each.log)
    return found


def _value(values: Span | Sequence[JsonValue], drawn: Any) -> JsonValue:
    """The profile's value of what Optuna drew: numbers with six digits, which people can read and copy."""
    if not isinstance(values, Span):
        return json.loads(drawn)
    return drawn if values.whole else min(max(float(f"{drawn:.6g}"), float(values.low)), float(values.high))


def _told(values: Span | Sequence[JsonValue], value: JsonValue) -> Any:
    return value if isinstance(values, Span) else json.dumps(value, sort_keys=True)
