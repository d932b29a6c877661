"""Plans without much thought, which a model has to beat, and the best plan by a mere belief."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from cortex.domains.question import Example


def thoughtless_plans(train: Sequence[Example], test: Sequence[Example]) -> Mapping[str, list[str]]:
    """The plans of two baselines for the test problems: for each kind the most frequent of the best plans for training
    problems, and a random one of them."""
    known: dict[str, list[str]] = defaultdict(list)
    for example in train:
        known[kind_of(example)].append(plan_of(example))
    counted = {kind: Counter(plans) for kind, plans in known.items()}
    usual = {kind: min(counts, key=lambda plan: (-counts[plan], plan)) for kind, counts in counted.items()}
    return {
        "usual": [usual.get(kind_of(example), "") for example in test],
        "drawn": [random.Random(example.id).choice(known.get(kind_of(example)) or [""]) for example in test],
    }


def likeliest_plan(believed: Sequence[tuple[Example, float]], reward: Callable[[Example, str], float]) -> str:
    """Of the best plans for all problems that are believed possible, the one with the highest expected reward.

    Of equally good ones it is the first in the alphabet.
    """
    plans = sorted({plan_of(example) for example, _ in believed})
    return max(plans, key=lambda plan: sum(share * reward(example, plan) for example, share in believed if share))


def kind_of(example: Example) -> str:
    """The kind of an example's problem, with which its id begins."""
    return example.id.partition("/")[0]


def plan_of(example: Example) -> str:
    """The proven best plan, as it stands in an answer."""
    assert isinstance(example.truth, dict)
    return str(example.truth["plan"])
