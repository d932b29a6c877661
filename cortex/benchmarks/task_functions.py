"""Functions that lm-eval calls for a domain's own task: they run in its environment, beside the domain's code."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from cortex.domains.domain import Domain
from cortex.domains.question import Example, Message
from cortex.domains.registry import read_domain


def question(doc: Mapping[str, Any]) -> str:
    """The text of a row's question."""
    return json.loads(doc["example"])["prompt"]


def score_reply(doc: Mapping[str, Any], results: Sequence[str | None]) -> dict[str, float]:
    """The score of a reply, 1 less the domain's loss. One that cannot be read counts as the reference baseline's."""
    example = json.loads(doc["example"])
    asked = Example(example["id"], (Message("user", example["prompt"]),), example["truth"], "test")
    graded = _domain(doc["domain"]).grade(asked, (results[0] or "").strip())
    loss = graded.loss if graded.valid else example["reference"]
    return {"score": 1 - loss, "valid": float(graded.valid)}


@cache
def _domain(path: str) -> Domain:
    return read_domain(json.loads(Path(path).read_text(encoding="utf-8")))
