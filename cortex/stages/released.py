"""The weights of an export that are released: each folder's contents, and its divergence from what it was made of."""

from pathlib import Path

from loguru import logger

from cortex.evaluation.copy_loss import copy_losses
from cortex.evaluation.record import Derived, Evaluation
from cortex.models.copies import read_summary
from cortex.models.model_files import ADAPTER


def released_folders(export: Path) -> dict[str, str]:
    """The folders of weights that a release takes from an export artifact, each with a description."""
    summary = read_summary(export)
    held = {"model": "The weights in full"}
    if summary.merging_kl is not None:
        held = {"model": "The weights in full, the adapter merged into them", ADAPTER: "The adapter as it was trained"}
    return held | {copy.name: f"A copy in {copy.bits} bits (GPTQ)" for copy in summary.copies if copy.accepted}


def derived_weights(export: Path) -> list[Derived]:
    """The released weights that were derived from trained ones: by merging, or by quantization."""
    summary = read_summary(export)
    merged = [] if summary.merging_kl is None else [("model", "base and adapter", summary.merging_kl)]
    copies = [(copy.name, "model", copy.kl) for copy in summary.copies if copy.accepted]
    return [Derived(name=name, made_of=made_of, divergence=kl) for name, made_of, kl in (*merged, *copies)]


def log_copy_losses(evaluation: Evaluation) -> None:
    """Log each quantized copy's loss of skill, and warn of a copy that should not be used."""
    for loss in copy_losses(evaluation):
        print(f"{loss.name}: {loss.words}", flush=True)
        if loss.warning:
            logger.warning(loss.warning)
