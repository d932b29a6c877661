"""Answers without any call, which a model has to beat."""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from cortex.domains.question import Example, Question
from cortex.domains.tools.tool_questions import UNKNOWN


def kind_of(question: Question) -> str:
    """The kind of an example's question, which begins its id."""
    return question.id.rpartition("-")[0]


def callless_answers(train: Sequence[Example], test: Sequence[Example]) -> Mapping[str, list[str]]:
    """Answers to the test questions: for each kind the most frequent training answer, a random one of them, and the
    answer that training has to the most similar question, by the words that both have."""
    known: dict[str, list[Example]] = defaultdict(list)
    for example in train:
        known[kind_of(example)].append(example)
    counted = {kind: Counter(str(example.truth) for example in examples) for kind, examples in known.items()}
    usual = {kind: min(counts, key=lambda text: (-counts[text], text)) for kind, counts in counted.items()}
    kinds = [kind_of(example) for example in test]
    return {
        "usual": [usual.get(kind, UNKNOWN) for kind in kinds],
        "drawn": [
            str(random.Random(example.id).choice(known[kind]).truth) if known[kind] else UNKNOWN
            for example, kind in zip(test, kinds, strict=True)
        ],
        "remembered": [_nearest(example, known[kind]) for example, kind in zip(test, kinds, strict=True)],
    }


def likeliest_answer(question: Question, believed: Sequence[tuple[Example, float]]) -> str:
    """The likeliest truth by examples of the question's kind; of equally likely ones the first in the alphabet."""
    kind, chances = kind_of(question), defaultdict[str, float](float)
    for example, share in believed:
        if kind_of(example) == kind:
            chances[str(example.truth)] += share
    return min(chances, key=lambda answer: (-chances[answer], answer)) if chances else UNKNOWN


def _nearest(question: Example, known: Sequence[Example]) -> str:
    words = set(question.text.split())
    best = max(known, key=lambda example: len(words & set(example.text.split())), default=None)
    return str(best.truth) if best else UNKNOWN
