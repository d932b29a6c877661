"""Quantized copies: which an export made, how close each came to the full weights, and which were accepted."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

SUMMARY = "export.json"


@dataclass(frozen=True)
class QuantizedCopy:
    """A quantized copy, measured against the full weights on held-out examples."""

    name: str
    bits: int
    kl: float
    """Mean divergence of next-token distributions over the full weights' own answers, in nats."""
    brier: float
    brier_of_full: float
    accepted: bool
    reason: str


def write_copies(copies: Sequence[QuantizedCopy], folder: Path) -> None:
    """Record the copies that were made, the rejected ones too."""
    (folder / SUMMARY).write_text(
        json.dumps({"copies": [asdict(copy) for copy in copies]}, indent=1) + "\n", encoding="utf-8"
    )


def accepted_copies(folder: Path) -> list[str]:
    """The folders of an export artifact that hold accepted copies."""
    return [
        copy["name"]
        for copy in json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["copies"]
        if copy["accepted"]
    ]
