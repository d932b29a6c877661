"""Labels on disk: the teacher's answers as conversations, one JSONL for each grade that the check gave."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from cortex.errors import DataError
from cortex.reasoning.completion import Completion
from cortex.reasoning.quality import grade

ACCEPTED = "accepted.jsonl"
SUMMARY = "labels.json"


def write_labels(prompts: Mapping[str, str], completions: Mapping[str, Completion], output: Path) -> None:
    """Grade what came of every prompt; write conversations as trainers read them, with the reasons for each grade.

    Raises:
        DataError: none is fit to imitate.
    """
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    files = {
        grade: (output / f"{grade}.jsonl").open("w", encoding="utf-8") for grade in ("accepted", "flagged", "rejected")
    }
    for example, prompt in prompts.items():
        completion = completions[example]
        finding = grade(prompt, completion)
        counts[finding.grade] += 1
        reasons.update(reason.partition(":")[0] for reason in finding.reasons)
        messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion.text}]
        row = {"example_id": example, "messages": messages, "reasons": finding.reasons}
        files[finding.grade].write(json.dumps(row) + "\n")
    for file in files.values():
        file.close()
    if not counts["accepted"]:
        raise DataError(
            f"none of the teacher's {len(prompts)} answers is fit to imitate ({dict(reasons)}): "
            "look at rejected.jsonl, and check teacher.model and teacher.max_tokens"
        )
    summary = {
        "asked": len(prompts),
        **{grade: counts[grade] for grade in files},
        "reasons": dict(sorted(reasons.items())),
    }
    (output / SUMMARY).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def accepted_conversations(folder: Path) -> list[list[dict[str, str]]]:
    """The conversations of a label artifact that are fit to imitate."""
    return [json.loads(line)["messages"] for line in (folder / ACCEPTED).read_text(encoding="utf-8").splitlines()]


def vocabulary(labels: Path) -> list[str]:
    """The words of all reasoning that was fit to imitate."""
    reasoning = (messages[-1]["content"].partition("</think>")[0] for messages in accepted_conversations(labels))
    return sorted({word.lower() for text in reasoning for word in re.findall(r"[A-Za-z]+", text)})
