"""Divergence of copies from their originals: the right figure, in bounded memory."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.programs import in_image

HERE = Path(__file__).parent

pytestmark = pytest.mark.rehearsal


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = in_image("quantize", [str(HERE / "compare_models.py"), str(tmp_path_factory.mktemp("models"))])
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_one_model_at_a_time_gives_what_both_together_give(found: dict[str, Any]) -> None:
    """This holds whichever of the two is stored, and however the answers are batched and padded."""
    assert found["direct"] > 1e-3
    assert found["of copy"] == pytest.approx(found["direct"], rel=1e-4)
    assert found["from copy"] == pytest.approx(found["direct"], rel=1e-4)


def test_memory_is_bounded_by_one_batch_of_logits_and_six_tables_of_one_answer(found: dict[str, Any]) -> None:
    """With a wide vocabulary, these tables are all that counts."""
    weights = 2 * found["weights"]  # one model, and what loading it holds for a moment
    assert found["peak"] <= found["batch table"] + 6 * found["answer table"] + weights
    assert found["peak"] > found["batch table"]
