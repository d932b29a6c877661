"""Reading of the files that lm-eval writes, in the form of its version 0.4.13."""

import json
from pathlib import Path
from typing import Any

import pytest

from cortex.benchmarks.lm_eval_run import read_logged
from cortex.benchmarks.suites import SUITES, Suite, read_suite
from cortex.errors import DataError


def sample(doc_id: int, score: Any, reading: str = "none", **further: Any) -> dict[str, Any]:
    prompt = json.dumps([{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"Question {doc_id}"}])
    return {
        "doc_id": doc_id,
        "doc": {"question": f"Question {doc_id}"},
        "doc_hash": "ab" * 32,
        "arguments": {"gen_args_0": {"arg_0": [prompt], "arg_1": {"until": []}}},
        "resps": [[f"reply {doc_id}"]],
        "filter": reading,
        "metrics": ["exact_match"],
        "exact_match": score,
        **further,
    }


def log(folder: Path, task: str, *rows: dict[str, Any], **groups: list[str]) -> None:
    inner = folder / "output" / "model"
    inner.mkdir(parents=True, exist_ok=True)
    name = f"{task}_2026-01-01T00-00-00.000000"
    (inner / f"samples_{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (inner / "results_2026-01-01T00-00-00.000000.json").write_text(json.dumps({"group_subtasks": groups}))


def test_of_several_readings_of_a_reply_the_suites_own_counts(tmp_path: Path) -> None:
    rows = [sample(place, 0.0, "strict-match") for place in (1, 0)]
    log(tmp_path, "gsm8k", *rows, *(sample(place, 1.0, "flexible-extract") for place in (1, 0)))
    [first, second] = read_logged(tmp_path, [SUITES["gsm8k"]])["gsm8k"]
    assert (first.doc_id, second.doc_id) == (0, 1) and first.score == second.score == 1.0
    assert first.prompt == "Be brief.\n\nQuestion 0" and first.reply == "reply 0"
    [strict, _] = read_logged(tmp_path, [Suite("gsm8k", ("gsm8k",))])["gsm8k"]
    assert strict.score == 0.0


def test_a_group_is_all_of_its_tasks(tmp_path: Path) -> None:
    log(tmp_path, "bbh_cot_fewshot_navigate", sample(0, 1.0, "get-answer"))
    groups = {"bbh_cot_fewshot": ["bbh_cot_fewshot_navigate", "bbh_cot_fewshot_snarks"]}
    log(tmp_path, "bbh_cot_fewshot_snarks", sample(0, 0.0, "get-answer"), sample(1, 1.0, "get-answer"), **groups)
    found = read_logged(tmp_path, [read_suite("bbh")])["bbh"]
    assert [one.score for one in found] == [1.0, 0.0, 1.0]


def test_a_refused_reply_is_an_empty_one(tmp_path: Path) -> None:
    log(tmp_path, "mine", sample(0, 0.0, resps=[[None]]))
    assert read_logged(tmp_path, [read_suite("mine")])["mine"][0].reply == ""


@pytest.mark.parametrize("score", [None, "1", 1.5, -0.1, float("nan"), [1, 2]])
def test_a_score_that_is_none_is_refused(tmp_path: Path, score: Any) -> None:
    log(tmp_path, "mine", sample(0, score))
    with pytest.raises(DataError, match=r"mine: the exact_match of question 0 is .*, no number from 0 to 1"):
        read_logged(tmp_path, [read_suite("mine")])


def test_a_task_without_answers_is_named(tmp_path: Path) -> None:
    log(tmp_path, "mine", sample(0, 1.0))
    with pytest.raises(DataError, match="lm-eval logged no answers to other"):
        read_logged(tmp_path, [read_suite("other")])
    log(tmp_path, "mine")
    with pytest.raises(DataError, match="mine has no questions"):
        read_logged(tmp_path, [read_suite("mine")])
