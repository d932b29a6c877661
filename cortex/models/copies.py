"""Quantized and merged copies of a model: their distance from the original, and which are accepted."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Literal

from cortex.artifacts.manifest import Manifest
from cortex.domains.domain import Domain
from cortex.domains.question import Conversation, Example
from cortex.profiles.export_section import Gguf, Gptq

SUMMARY = "export.json"

WEIGHTS = (".safetensors", ".gguf")
"""Endings of files that hold weights."""


def weight_folders(release: Manifest) -> set[str]:
    """The folders of a release that hold weights: the full ones, the adapter, and the copies."""
    files = (entry.name for entry in release.files)
    return {name.partition("/")[0] for name in files if "/" in name and name.endswith(WEIGHTS)}


@dataclass(frozen=True)
class QuantizedCopy:
    """A quantized copy, measured against the full weights on held-out examples."""

    name: str
    bits: int
    """Bits of a weight; for GGUF, those that its type is named after."""
    kl: float | None
    """Mean divergence of next-token distributions over the full weights' own answers, in nats; None where the copy
    could not be made."""
    loss: float | None
    loss_of_full: float | None
    """Mean losses of their answers; None where no answers were compared."""
    accepted: bool
    reason: str
    format: Literal["gptq", "gguf"] = "gptq"
    tensors: dict[str, int] | None = None
    """Count of a GGUF file's tensors of each type; llama.cpp gives matrices another than the wanted one where their
    rows do not divide into its blocks."""


def judge_copy(
    wanted: Gptq | Gguf, kl: float, losses: tuple[float, float] | None, tensors: dict[str, int] | None = None
) -> QuantizedCopy:
    """Accept a copy whose distance from the full weights is within the profile's bounds (a bound itself is within).

    `losses` are the copy's and the full weights' on the same held-out examples.
    """
    measured: list[tuple[str, float, float]] = [("divergence", kl, wanted.max_kl)]
    reason = f"divergence {kl:.2g}"
    if losses and wanted.max_loss_rise is not None:
        loss, full = losses
        measured.append(("rise of the loss", loss - full, wanted.max_loss_rise))
        reason += f", loss {loss:.4f} against {full:.4f}"
    faults = [
        f"{what} {value:.2g} is over the bound {bound:g}"
        for what, value, bound in measured
        if not value <= bound  # written so that NaN exceeds any bound
    ]
    loss, full = losses or (None, None)
    reason = "; ".join(faults) or reason
    return QuantizedCopy(wanted.name, wanted.bits, kl, loss, full, not faults, reason, wanted.format, tensors)


def refuse_copy(wanted: Gguf, reason: str) -> QuantizedCopy:
    """The record of a copy that could not be made."""
    return QuantizedCopy(wanted.name, wanted.bits, None, None, None, False, reason, wanted.format)


def mean_loss(domain: Domain, examples: Sequence[Example], answers: Sequence[Conversation]) -> float:
    """The mean loss of the turns that follow N examples' questions."""
    return fmean(domain.grade_turns(example, turns).loss for example, turns in zip(examples, answers, strict=True))


@dataclass(frozen=True)
class ExportSummary:
    """The figures of an export."""

    copies: tuple[QuantizedCopy, ...]
    """All copies, the rejected ones included."""
    merging_kl: float | None
    """Mean divergence of the merged, rounded weights from base and adapter; None where there was no adapter."""


def write_summary(summary: ExportSummary, folder: Path) -> None:
    """Record in an export's folder what was measured."""
    (folder / SUMMARY).write_text(json.dumps(asdict(summary), indent=1) + "\n", encoding="utf-8")


def read_summary(folder: Path) -> ExportSummary:
    """The record of an export artifact."""
    read = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return ExportSummary(tuple(QuantizedCopy(**copy) for copy in read["copies"]), read["merging_kl"])


def sampled_copies(folder: Path) -> list[str]:
    """The folders of an export artifact that hold accepted copies which vLLM and transformers can sample from."""
    return [copy.name for copy in read_summary(folder).copies if copy.accepted and copy.format == "gptq"]
