"""The teacher's answers to test questions, with its prompt if it has one: only to judge by, never to train on."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cortex.teaching.completion import Completion

PROMPTED = "prompted.jsonl"
"""The file of these answers in the label artifact."""


@dataclass(frozen=True)
class PromptedAnswer:
    """One answer."""

    domain: str
    example_id: str
    """The example's id in its own domain."""
    answer: str
    """Empty where the teacher gave none."""
    prompt_tokens: int | None
    answer_tokens: int | None
    """As the provider reports them; None where it does not."""

    @classmethod
    def of(cls, domain: str, example: str, completion: Completion) -> "PromptedAnswer":
        usage = completion.usage
        return cls(domain, example, completion.text, usage and usage.input, usage and usage.output)


def write_prompted(answers: Iterable[PromptedAnswer], folder: Path) -> None:
    (folder / PROMPTED).write_text("".join(json.dumps(asdict(each)) + "\n" for each in answers), encoding="utf-8")


def read_prompted(folder: Path, domain: str) -> dict[str, PromptedAnswer]:
    """One domain's answers by example id; none where the teacher was not asked."""
    if not (folder / PROMPTED).is_file():
        return {}
    rows: list[dict[str, Any]] = [
        json.loads(line) for line in (folder / PROMPTED).read_text(encoding="utf-8").splitlines()
    ]
    return {row["example_id"]: PromptedAnswer(**row) for row in rows if row["domain"] == domain}
