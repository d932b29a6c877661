"""Rejection sampling: of several answers to a prompt, the best by the domain's grade becomes the label."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cortex.domains.domain import Domain
from cortex.domains.label_finding import Finding
from cortex.domains.question import Conversation, Example, Question
from cortex.teaching.completion import Completion

SAMPLES = "samples.jsonl"
"""The file of all answers with their rewards, in the label artifact."""

_GRADES = ("rejected", "flagged", "accepted")
_BETWEEN = "#"
"""Between an example's id and the number of its sample."""


def sample_name(example: str, sample: int) -> str:
    """The name of a request; the first sample has the example's own, as where there is one."""
    return f"{example}{_BETWEEN}{sample}" if sample else example


def expand(prompts: Mapping[str, Conversation], samples: int) -> tuple[dict[str, Conversation], dict[str, int]]:
    """Prompts and seeds by name for `samples` answers each. The first has no seed, and so is found in the cache of a
    run with one."""
    names = {sample_name(example, sample): (example, sample) for example in prompts for sample in range(samples)}
    asked = {name: prompts[example] for name, (example, _) in names.items()}
    return asked, {name: sample for name, (_, sample) in names.items() if sample}


def choose_best(
    domain: Domain,
    examples: Mapping[str, Example],
    completions: Mapping[str, Completion],
    samples: int,
    finding: Callable[[Example, Completion], Finding],
) -> tuple[dict[str, Completion], list[dict[str, Any]]]:
    """The best completion of each example, and a row for each example with all its answers, best first.

    An answer that a check accepts goes before one that it flags, whatever their rewards; of equal ones the first wins.
    """
    chosen: dict[str, Completion] = {}
    rows: list[dict[str, Any]] = []
    for name, example in examples.items():
        ranked: list[tuple[int, float, int, Completion]] = []
        for sample in range(samples):
            completion = completions[sample_name(name, sample)]
            rank = _GRADES.index(finding(example, completion).grade)
            reward = domain.reward(domain.grade(example, completion.text)) if rank else 0.0
            ranked.append((rank, reward, -sample, completion))
        ranked.sort(key=lambda each: each[:3], reverse=True)
        chosen[name] = ranked[0][3]
        answers = [{"text": each.text, "reward": reward, "grade": _GRADES[rank]} for rank, reward, _, each in ranked]
        rows.append({"example_id": name, "answers": answers})
    return chosen, rows


def without_rejected(
    rows: list[dict[str, Any]],
    rejection: Callable[[Question, str], Finding | None],
    questions: Mapping[str, Question],
) -> list[dict[str, Any]]:
    """The rows without answers that no training may see, be it as the worse one of a pair."""
    return [
        row
        | {"answers": [each for each in row["answers"] if not rejection(questions[row["example_id"]], each["text"])]}
        for row in rows
    ]


def write_samples(rows: list[dict[str, Any]], output: Path) -> None:
    (output / SAMPLES).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
