"""The released parts of an export, and their description in the record, on the card and on the page."""

from pathlib import Path

import pytest

from cortex.evaluation.card import model_card
from cortex.evaluation.page import render_page
from cortex.evaluation.record import Evaluation
from cortex.models.copies import ExportSummary, QuantizedCopy, write_summary
from cortex.stages.released import derived_weights, released_folders
from tests.evaluation.simulation import MARKETS
from tests.evaluation.test_card import DETAILS
from tests.evaluation.test_judging import EVALUATION

COPIES = (
    QuantizedCopy("gptq-w8", 8, 0.0021, 0.24, 0.24, accepted=True, reason="close"),
    QuantizedCopy("gptq-w4", 4, 0.5, 0.3, 0.24, accepted=False, reason="far"),
    QuantizedCopy(
        "gguf-q4_k_m", 4, 0.01, 0.25, 0.24, accepted=True, reason="close", format="gguf", tensors={"Q4_K": 9}
    ),
    QuantizedCopy("gguf-q6_k", 6, None, None, None, accepted=False, reason="llama.cpp refuses it", format="gguf"),
)


def export(folder: Path, merging_kl: float | None) -> Path:
    write_summary(ExportSummary(COPIES, merging_kl), folder)
    return folder


def test_a_rejected_copy_is_not_released_and_an_adapter_is(tmp_path: Path) -> None:
    assert list(released_folders(export(tmp_path, None))) == ["model", "gptq-w8", "gguf-q4_k_m"]
    assert list(released_folders(export(tmp_path, 0.003))) == ["model", "adapter", "gptq-w8", "gguf-q4_k_m"]


@pytest.mark.parametrize(
    ("chosen", "released"),
    [
        (("gguf-q4_k_m",), ["gguf-q4_k_m"]),
        (("adapter", "gptq-w4", "gptq-w8"), ["adapter", "gptq-w8"]),
        (("gptq-w4",), ["model"]),  # it was rejected, and a release without weights is none
    ],
)
def test_a_profile_chooses_what_is_released(chosen: tuple[str, ...], released: list[str], tmp_path: Path) -> None:
    folder = export(tmp_path, 0.003)
    assert list(released_folders(folder, chosen)) == released
    assert {weights.name for weights in derived_weights(folder, chosen)} == set(released) - {"adapter"}


@pytest.mark.parametrize(
    ("merging_kl", "expected"),
    [
        (None, [("gptq-w8", "model", 0.0021), ("gguf-q4_k_m", "model", 0.01)]),
        (0.003, [("model", "base and adapter", 0.003), ("gptq-w8", "model", 0.0021), ("gguf-q4_k_m", "model", 0.01)]),
    ],
)
def test_the_record_tells_how_far_derived_weights_are_from_their_origin(
    merging_kl: float | None, expected: list[tuple[str, str, float]], tmp_path: Path
) -> None:
    derived = derived_weights(export(tmp_path, merging_kl))
    assert [(weights.name, weights.made_of, weights.divergence) for weights in derived] == expected
    record = EVALUATION.model_copy(update={"derived": derived})
    assert Evaluation.from_json(record.to_json()) == record


def test_card_and_page_show_it(tmp_path: Path) -> None:
    folder = export(tmp_path, 0.003)
    evaluation = EVALUATION.model_copy(update={"derived": derived_weights(folder)})
    card = model_card(DETAILS.model_copy(update={"folders": released_folders(folder)}), [(evaluation, MARKETS.card())])
    assert (
        "| `model` | The weights in full, the adapter merged into them: 0.003 nats a token from base and adapter |"
        in card
    )
    assert "| `adapter` | The adapter as it was trained |" in card
    assert "| `gptq-w8` | A copy in 8 bits (GPTQ): 0.0021 nats a token from model |" in card
    assert (
        "| `gguf-q4_k_m` | A copy in 4 bits for llama.cpp and Ollama (GGUF, loss 0.2500 against 0.2400 on held-out "
        "examples): 0.01 nats a token from model |" in card
    )
    page = render_page(evaluation)
    assert "<tr><th>model</th><td>base and adapter</td><td>0.003</td><td></td></tr>" in page
    assert "gptq-w4" not in card + page and "q6_k" not in card + page
    assert "Released weights" not in render_page(EVALUATION)
