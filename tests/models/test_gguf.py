"""GGUF files by llama.cpp: they read, predict and answer as their model does, or are refused with the reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.programs import in_image

pytestmark = pytest.mark.rehearsal


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    program = Path(__file__).with_name("gguf_models.py")
    done = in_image("quantize", [str(program), str(tmp_path_factory.mktemp("models"))])
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_file_predicts_and_answers_as_its_model(found: dict[str, Any]) -> None:
    """The texts are of markets, of maths, and of no domain, each split into the tokenizer's own tokens."""
    whole = found["as it is"]
    assert 0 <= whole["kl"] < 1e-5
    expected, answers = whole["answers"]
    assert expected == answers and any(expected)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("rows of 64", "falls back to"),
        ("a type for rows of 64", "K-quants need rows of a multiple of 256"),
        ("no such tensor", "tensors: 'attn_w' matches no tensor; there are "),
        ("two types", "would be both q6_k and q4_k: correct the expressions"),
        ("pieces of words", "converter refuses the model: BPE pre-tokenizer was not recognized"),
        ("half a file", "llama.cpp cannot load half.gguf"),
        ("texts changed", "llama.cpp splits text otherwise than the tokenizer"),
    ],
)
def test_what_llama_cpp_cannot_hold_or_would_read_otherwise_is_refused(
    found: dict[str, Any], case: str, reason: str
) -> None:
    assert str(found[case]).startswith("UnfitError: ") and reason in found[case], found[case]


def test_where_rows_do_not_divide_llama_cpp_takes_other_types(found: dict[str, Any]) -> None:
    """Only the second matrix of each feed-forward part has rows of 256 here, the others of 64."""
    assert found["rows of 64 in 8 bits"] == {"F32": 5, "Q8_0": 15}
    assert found["some rows of 64"] == {"F32": 5, "Q4_K": 1, "Q5_0": 11, "Q6_K": 1, "Q8_0": 2}
