"""Answers without any thought, which a model has to beat."""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from cortex.domains.gym.generators import Address
from cortex.domains.question import Example, Question


def thoughtless_answers(train: Sequence[Example], test: Sequence[Example]) -> Mapping[str, list[str]]:
    """The answers of each baseline to the test questions: for each task the most frequent of the training answers, a
    random one of them, and the shortest of them. Tasks without answers get empty ones."""
    known: dict[str, list[str]] = defaultdict(list)
    for example in train:
        known[Address.read(example.id).task].append(str(example.truth or ""))
    counted = {task: Counter(answers) for task, answers in known.items()}
    usual = {task: min(counts, key=lambda text: (-counts[text], text)) for task, counts in counted.items()}
    shortest = {
        task: min(counts, key=lambda text: (len(text), -counts[text], text)) for task, counts in counted.items()
    }
    asked = [(example.id, Address.read(example.id).task) for example in test]
    return {
        "usual": [usual.get(task, "") for _, task in asked],
        "drawn": [random.Random(name).choice(known.get(task) or [""]) for name, task in asked],
        "shortest": [shortest.get(task, "") for _, task in asked],
    }


def likeliest_answer(question: Question, believed: Sequence[tuple[Example, float]]) -> str:
    """The answer that is the truth with the highest probability, by examples of the question's task; "0" without any.

    Of equally likely ones it is the first in the alphabet.
    """
    task = Address.read(question.id).task
    chances: dict[str, float] = defaultdict(float)
    for example, probability in believed:
        if example.truth is not None and Address.read(example.id).task == task:
            chances[str(example.truth)] += probability
    return min(chances, key=lambda answer: (-chances[answer], answer)) if chances else "0"
