"""A domain's own test split as a task of lm-eval: YAML and JSON lines on this machine, which need no network."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import yaml

from cortex.benchmarks.suites import Suite
from cortex.domains.dataset import read_split
from cortex.domains.domain import Domain
from cortex.domains.example_columns import read_rows
from cortex.errors import DataError

PREFIX = "cortex_"
"""Begins the names of these tasks, of which lm-eval has thousands of its own."""

_FUNCTION = "cortex.benchmarks.task_functions"


@dataclass(frozen=True)
class Asked:
    """A question of a domain's task."""

    id: str
    cluster: str
    at: datetime | None
    prompt: str


@dataclass(frozen=True)
class DomainTask:
    """A written task: its suite, and its questions in the order of its rows."""

    suite: Suite
    questions: tuple[Asked, ...]
    span: int
    """Consecutive clusters that share an outcome, as in `Clusters`."""


def write_domain_tasks(
    domain: Domain, dataset: Path, folder: Path, *, count: int | None, max_tokens: int
) -> list[DomainTask]:
    """Write the test split of each part of a domain, `count` questions evenly spaced, into a folder of tasks.

    Raises:
        DataError: the dataset cannot be read, has no test questions, or questions of several turns.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _write_task(name, part, domain, dataset, folder, count, max_tokens) for name, part in domain.parts().items()
    ]


def _write_task(
    name: str, part: Domain, whole: Domain, dataset: Path, folder: Path, count: int | None, max_tokens: int
) -> DomainTask:
    narrow = partial(whole.rows_of, name)
    test = read_split(dataset, "test", count, narrow)
    examples = list(read_rows(test))
    if not examples:
        raise DataError(f"{dataset} has no test questions of {name}: build it with more examples")
    several = next((example for example in examples if len(example.messages) > 1), None)
    if several:
        raise DataError(
            f"question {several.id!r} of {name} has {len(several.messages)} turns, and lm-eval asks in one: judge this "
            "domain by a run's evaluate stage"
        )
    reference = part.baselines(read_split(dataset, "train", None, narrow), test)[part.scale.reference]
    described = folder / f"{name}.domain.json"
    described.write_text(part.model_dump_json(), encoding="utf-8")
    with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
        for place, (example, graded) in enumerate(zip(examples, reference, strict=True)):
            row = {"id": example.id, "prompt": example.text, "truth": example.truth, "reference": graded.loss}
            # As one text, since the reader of JSON lines would take an id that looks like a date for a time.
            line = {"place": place, "domain": str(described.absolute()), "example": json.dumps(row)}
            file.write(json.dumps(line) + "\n")
    (folder / f"{name}.yaml").write_text(_task_yaml(name, folder / f"{name}.jsonl", max_tokens), encoding="utf-8")
    asked = zip(examples, test["cluster"].to_list(), test["at"].to_list(), strict=True)
    return DomainTask(
        Suite(name, (PREFIX + name,), "score"),
        tuple(Asked(example.id, cluster, at, example.text) for example, cluster, at in asked),
        part.span(test),
    )


def _task_yaml(name: str, rows: Path, max_tokens: int) -> str:
    measures: list[Mapping[str, object]] = [
        {"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in ("score", "valid")
    ]
    task = {
        "task": PREFIX + name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(rows.absolute())}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_target": "",
        # No text ends an answer but the model's own end: answers hold blank lines, which lm-eval would stop at.
        "generation_kwargs": {"until": [], "max_gen_toks": max_tokens, "temperature": 0.0, "do_sample": False},
        "metric_list": measures,
        "num_fewshot": 0,
        "metadata": {"version": 1.0},
    }
    functions = f"doc_to_text: !function {_FUNCTION}.question\nprocess_results: !function {_FUNCTION}.score_reply\n"
    return yaml.safe_dump(task, sort_keys=False) + functions
