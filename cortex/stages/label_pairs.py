"""Pairs for DPO from the teacher's labels: the best and the worst of its samples, or a label and a spoiled copy."""

import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cortex.domains.domain import Domain
from cortex.domains.question import Conversation, Example
from cortex.errors import DataError
from cortex.stages.best_of import SAMPLES

_NUMBER = re.compile(r"(?<![\w.])([+-]?)(\d+(?:\.\d+)?)(?!\w)")


def sample_pairs(domain: Domain, examples: Iterable[Example], labels: Path) -> Iterator[tuple[Example, str, str]]:
    """The best and the worst sample of each example, where their rewards differ; the best one is a fit label.

    Raises:
        DataError: the labels hold no samples.
    """
    path = labels / SAMPLES
    if not path.is_file():
        raise DataError(f"{path} is not there: set teacher.samples to 2 or more, or dpo.pairs to sampled")
    answers = {
        row["example_id"]: row["answers"] for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())
    }
    for example in examples:
        paid = [(domain.reward(domain.grade(example, each["text"])), each) for each in answers.get(example.id, ())]
        fit = [pair for pair in paid if pair[1]["grade"] == "accepted"]
        if not fit:
            continue
        best = max(fit, key=lambda pair: pair[0])
        worst = min(paid, key=lambda pair: pair[0])
        if best[0] > worst[0]:
            yield example, best[1]["text"], worst[1]["text"]


def spoiled_pairs(
    domain: Domain, examples: Iterable[Example], labels: Mapping[str, Conversation], seed: int
) -> Iterator[tuple[Example, str, str]]:
    """Each accepted label with a copy that was spoiled on purpose, and earns less by the domain's grade."""
    for example in examples:
        if example.id not in labels:
            continue
        label = labels[example.id][-1].content
        reward = domain.reward(domain.grade(example, label))
        for spoiled in spoil(label, random.Random(f"{seed} {example.id}")):
            if spoiled != label and domain.reward(domain.grade(example, spoiled)) < reward:
                yield example, label, spoiled
                break


def spoil(reply: str, rng: random.Random) -> list[str]:
    """Spoiled copies of a reply, in random order: one cites a wrong number, one has no reasoning, one has its words
    shuffled, one is cut off."""
    thoughts, mark, said = reply.rpartition("</think>")
    reasoning = thoughts.removeprefix("<think>")
    words = reasoning.split()
    rng.shuffle(words)
    numbers = list(_NUMBER.finditer(reasoning))
    ways = [reply[: len(reply) * 2 // 3]]
    if mark:
        ways += [f"<think></think>{said}", f"<think>{' '.join(words)}</think>{said}"]
    if numbers:
        wrong = rng.choice(numbers)
        changed = f"{wrong[1]}{float(wrong[2]) + rng.randint(1, 9):g}"
        ways.append(f"<think>{reasoning[: wrong.start()]}{changed}{reasoning[wrong.end() :]}{mark}{said}")
    rng.shuffle(ways)
    return ways
