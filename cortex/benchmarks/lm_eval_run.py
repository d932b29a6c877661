"""One run of lm-eval, as a program in the environment of its lock, and the answers that it logged."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cortex.benchmarks.contender import Contender
from cortex.benchmarks.suites import Suite
from cortex.errors import ConfigError, CortexError, DataError, StageError, UsageError
from cortex.local.environments import environment, on_path
from cortex.process import running
from cortex.settings import Settings
from cortex.text import harmless

IMAGE = "benchmarks"
"""The folder under images/ with the lock."""

_NO_TASK = re.compile(r"Tasks not found: (?P<names>.*)")
_NO_HUB = re.compile(r"on the Hub|LocalEntryNotFound|OfflineModeIsEnabled|Couldn't (?:reach|find) ")
_NO_CHAT = "Loglikelihood is not supported for chat completions"


@dataclass(frozen=True)
class Logged:
    """One question and its reply, as lm-eval logs them."""

    task: str
    doc_id: int
    doc: Mapping[str, Any]
    doc_hash: str
    prompt: str
    reply: str
    score: float


def run_lm_eval(
    contender: Contender,
    suites: Sequence[Suite],
    settings: Settings,
    folder: Path,
    *,
    limit: int | None,
    include: Path | None,
) -> dict[str, list[Logged]]:
    """Ask a contender the questions of the suites; the answers of each, by its name.

    `folder` is a new one, for what lm-eval writes. `limit` is the most questions of each task. `include` is a folder of
    tasks of our own. Shows lm-eval's progress on stderr.

    Raises:
        ConfigError: no hub is reachable for a published benchmark's questions.
        UsageError: lm-eval knows no such task, or the server cannot be asked it.
        StageError: the model did not answer.
        DataError: lm-eval logged no score.
    """
    place = environment(IMAGE, settings)
    folder.mkdir(parents=True)
    config, log = folder / "config.yaml", folder / "log.txt"
    config.write_text(yaml.safe_dump(_config(contender, suites, folder, limit, include)), encoding="utf-8")
    local = all(task.startswith("cortex_") for suite in suites for task in suite.tasks)
    with (
        log.open("w", encoding="utf-8") as file,
        running(
            [place / "bin" / "python", "-m", "lm_eval", "run", "--config", config],
            env={**os.environ, **on_path(place), **_variables(contender, folder, local=local)},
            stdout=file,
            stderr=file,
        ) as process,
    ):
        code = process.wait()
    text = log.read_text(encoding="utf-8", errors="replace")
    if code:
        raise _error(text, contender)
    return read_logged(folder, suites)


def read_logged(folder: Path, suites: Sequence[Suite]) -> dict[str, list[Logged]]:
    """The answers that lm-eval logged below a folder, by the suite's name, in the order of tasks and questions.

    Raises:
        DataError: nothing was logged for a suite, or a score is missing or lies outside of 0 to 1.
    """
    files = {path.name.removeprefix("samples_").rpartition("_")[0]: path for path in folder.rglob("samples_*.jsonl")}
    groups = _groups(folder)
    found: dict[str, list[Logged]] = {}
    for suite in suites:
        tasks = [task for name in suite.tasks for task in _leaves(name, groups)]
        missing = next((task for task in tasks if task not in files), None)
        if missing:
            raise DataError(f"lm-eval logged no answers to {missing}: see what it wrote, with --to")
        found[suite.name] = [logged for task in tasks for logged in _read_samples(task, files[task], suite)]
    return found


def _config(
    contender: Contender, suites: Sequence[Suite], folder: Path, limit: int | None, include: Path | None
) -> dict[str, Any]:
    return {
        "model": contender.model,
        "model_args": dict(contender.arguments),
        "tasks": [task for suite in suites for task in suite.tasks],
        "apply_chat_template": True,
        "log_samples": True,
        "output_path": str(folder / "output"),
        **({"limit": limit} if limit else {}),
        **({"include_path": str(include)} if include else {}),
        **contender.options,
    }


def _variables(contender: Contender, folder: Path, *, local: bool) -> dict[str, str]:
    bypass = ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1", "localhost")))
    found = {"OPENAI_API_KEY": contender.key or "none", "NO_PROXY": bypass, "no_proxy": bypass}
    if local:  # nothing is asked of a hub, and what is made of our files is not kept in the user's cache
        found |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")}
    return found


def _error(text: str, contender: Contender) -> CortexError:
    """The error that the last line of lm-eval's output stands for."""
    last = harmless(next((line for line in reversed(text.splitlines()) if line.strip()), "nothing"), limit=300)
    if found := _NO_TASK.search(last):
        return UsageError(f"lm-eval knows no task {found['names']}: `lm-eval ls tasks` in its environment lists them")
    if _NO_CHAT in last:
        return UsageError(
            "a chat server reports no probabilities of given answers, which one of these tasks needs: name the model's "
            "folder, or a task with written answers, such as mmlu_econometrics_generative"
        )
    if _NO_HUB.search(last):
        return ConfigError(
            f"no hub is reachable for the questions ({last}): name a mirror in HF_ENDPOINT, or in HF_HOME a cache that "
            "has them"
        )
    return StageError(f"lm-eval failed with {contender.label}: {last}; see that the model answers, and try again")


def _groups(folder: Path) -> dict[str, list[str]]:
    """Tasks of each group, as lm-eval's results name them."""
    groups: dict[str, list[str]] = {}
    for path in folder.rglob("results_*.json"):
        results: Any = json.loads(path.read_text(encoding="utf-8"))
        groups |= results.get("group_subtasks", {})
    return groups


def _leaves(name: str, groups: Mapping[str, Sequence[str]]) -> list[str]:
    members = groups.get(name) or ()
    return [leaf for member in members for leaf in _leaves(member, groups)] if members else [name]


def _read_samples(task: str, path: Path, suite: Suite) -> Iterator[Logged]:
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if not rows:
        raise DataError(f"{task} has no questions: ask for more with --limit")
    reading = suite.filter or rows[0]["filter"]
    for row in sorted((row for row in rows if row["filter"] in (reading, "none")), key=lambda row: row["doc_id"]):
        metric = suite.metric or row["metrics"][0]
        score = row.get(metric)
        if not isinstance(score, int | float) or not 0 <= score <= 1:
            raise DataError(f"{task}: the {metric} of question {row['doc_id']} is {score!r}, no number from 0 to 1")
        reply = row["resps"][0][0]
        yield Logged(
            task,
            row["doc_id"],
            row["doc"],
            row["doc_hash"],
            _prompt(row),
            reply if isinstance(reply, str) else "",
            score,
        )


def _prompt(row: Mapping[str, Any]) -> str:
    """The text that a model was asked, worked examples and all; of a chat, the texts of its turns."""
    asked = next(iter(row["arguments"].values()))["arg_0"]
    asked = asked[0] if isinstance(asked, list) else asked
    try:
        return "\n\n".join(turn["content"] for turn in json.loads(asked))
    except (ValueError, TypeError, KeyError):  # a text, with the model's own template around it
        return str(asked)
