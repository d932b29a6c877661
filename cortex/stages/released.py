"""The weights of an export that are released: each folder's contents, and its divergence from what it was made of."""

from collections.abc import Collection
from pathlib import Path

from loguru import logger

from cortex.evaluation.copy_loss import copy_losses
from cortex.evaluation.record import Derived, Evaluation
from cortex.models.copies import QuantizedCopy, read_summary
from cortex.models.model_files import ADAPTER


def released_folders(export: Path, chosen: Collection[str] | None = None) -> dict[str, str]:
    """The folders of weights that a release takes from an export artifact, each with a description.

    `chosen` names those that it may take; None: all. If none of them was made and accepted, it takes the full weights.
    """
    held = _made(export)
    left = {name: words for name, words in held.items() if chosen is None or name in chosen}
    return left or {"model": held["model"]}


def _made(export: Path) -> dict[str, str]:
    summary = read_summary(export)
    held = {"model": "The weights in full"}
    if summary.merging_kl is not None:
        held = {"model": "The weights in full, the adapter merged into them", ADAPTER: "The adapter as it was trained"}
    return held | {copy.name: _words(copy) for copy in summary.copies if copy.accepted}


def _words(copy: QuantizedCopy) -> str:
    if copy.format == "gptq":
        return f"A copy in {copy.bits} bits (GPTQ)"
    loss = "" if copy.loss is None else f", loss {copy.loss:.4f} against {copy.loss_of_full:.4f} on held-out examples"
    return f"A copy in {copy.bits} bits for llama.cpp and Ollama (GGUF{loss})"


def derived_weights(export: Path, chosen: Collection[str] | None = None) -> list[Derived]:
    """The released weights that were derived from trained ones: by merging, or by quantization."""
    summary, released = read_summary(export), released_folders(export, chosen)
    merged = [] if summary.merging_kl is None else [("model", "base and adapter", summary.merging_kl)]
    copies = [(copy.name, "model", copy.kl) for copy in summary.copies if copy.kl is not None]
    return [
        Derived(name=name, made_of=made_of, divergence=kl)
        for name, made_of, kl in (*merged, *copies)
        if name in released
    ]


def log_copy_losses(evaluation: Evaluation) -> None:
    """Log each quantized copy's loss of skill, and warn of a copy that should not be used."""
    for loss in copy_losses(evaluation):
        print(f"{loss.name}: {loss.words}", flush=True)
        if loss.warning:
            logger.warning(loss.warning)
