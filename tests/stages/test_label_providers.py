"""`cortex run label` with providers, samples, rules and a review: the second run pays nothing, and heeds people."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cortex.artifacts.manifest import Manifest
from cortex.artifacts.open_store import open_store
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run
from cortex.stages.best_of import SAMPLES
from cortex.teaching.review.decisions import Decision, Decisions, hash_answer, read_decisions
from tests.conftest import Cortex
from tests.teaching.endpoint import Reply, Teacher, right, serving

pytestmark = pytest.mark.integration


def paid(prompt: str, nth: int) -> Reply:
    usage = {"prompt_tokens": 100, "completion_tokens": 50}
    return Reply(json.dumps(json.loads(right(prompt, nth).body) | {"usage": usage}).encode())


def label(run: str, teacher: dict[str, Any], tmp_path: Path, cortex: Cortex) -> tuple[Path, dict[str, Any]]:
    """Run `data` and `label`; returns the labels and their summary."""
    given = load_profile("rehearsal", {f"teacher.{key}": value for key, value in teacher.items()})
    create_run(open_store(str(tmp_path / "home" / "bucket")), run, given)
    done = cortex("run", "data", "label", "--run", run)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "home" / "bucket" / "runs" / run / "label" / "artifact"
    return folder, json.loads((folder / "labels.json").read_text(encoding="utf-8"))


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_second_run_takes_answers_from_the_cache_and_grades_from_people(tmp_path: Path, cortex: Cortex) -> None:
    with serving(Teacher(script=paid)) as server:
        provider = {"kind": "vllm", "url": server.url, "model": "m", "price": {"input": 1.0, "output": 2.0}}
        teacher = {
            "providers": [provider | {"terms": "ours"}],
            "dollars": 1.0,
            "examples": 40,
            "samples": 2,
            "quality": {"max_words": 100},
        }
        folder, first = label("run-1", teacher, tmp_path, cortex)
        account = first["teachers"]["vllm"]
        assert len(server.asked) == account["paid_replies"] == 80
        assert Decimal(account["dollars"]) == Decimal("0.016")
        assert first["asked"] == 40 and len(rows(folder / SAMPLES)) == 40
        assert {row["teacher"]["terms"] for row in rows(folder / "accepted.jsonl")} == {"ours"}

        spurned = rows(folder / "accepted.jsonl")[0]
        answer = spurned["messages"][-1]["content"]
        review = Decisions(tmp_path / "review")
        review.add(Decision(spurned["example_id"], hash_answer(answer), "reject", "ann", "accepted"))
        review.seal({})
        folder, second = label("run-2", teacher | {"review": str(tmp_path / "review")}, tmp_path, cortex)
        assert len(server.asked) == 80 and second["teachers"]["vllm"]["dollars"] == "0"
        assert second["teachers"]["vllm"]["from_cache"] == 40
        assert second["accepted"] == first["accepted"] - 1
        assert ["review: rejected by ann"] in [row["reasons"] for row in rows(folder / "rejected.jsonl")]

        # The labels name the decisions that they were made with, and what is made of them ends once these change.
        sealed = read_decisions(tmp_path / "review")[1]
        assert Manifest.read(folder).inputs["review"] == sealed
        assert cortex("run", "label", "--run", "run-2").returncode == 0
        review.add(Decision(spurned["example_id"], hash_answer(answer), "accept", "ann", "accepted"))
        review.seal({})
        for stage in ("label", "sft"):
            done = cortex("run", stage, "--run", "run-2")
            assert (
                done.returncode == 65 and f"labels of run run-2 were made with decisions {sealed[:12]}" in done.stderr
            )
            assert "start a new run" in done.stderr and "Traceback" not in done.stderr
