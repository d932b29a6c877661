"""The real lm-eval in its environment: a server and a model of a few thousand weights, on a domain's own questions."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import pytest

from cortex.benchmarks.answers_file import read_answers
from cortex.benchmarks.suites import SUITES
from cortex.domains.dataset import read_split, write_dataset
from cortex.domains.example_columns import read_rows
from cortex.local.environments import environment, on_path
from cortex.profiles.profile_file import load_profile
from cortex.settings import Settings
from cortex.teaching.teacher import scripted_teacher
from tests.rehearsal.conftest import Home

pytestmark = pytest.mark.rehearsal

QUESTIONS = 50


def test_a_server_and_a_model_are_asked_the_same_questions(
    home: Home, tmp_path: Path, write_profile: Callable[..., Path]
) -> None:
    """Scores are the domain's own grades of what each replied; a model that knows no words is worth the reference."""
    source = {"kind": "simulator", "chains": 2, "days": 420, "signal": {"flow": -1.4, "whales": 1.2}}
    path = write_profile("small", domain={"source": source}, evaluate={"examples": QUESTIONS, "max_new_tokens": 24})
    profile, folder = load_profile(str(path)), environment("benchmarks", Settings(home=home.folder))
    subprocess.run(
        [folder / "bin" / "python", "-m", "tests.rehearsal.trained", "build", tmp_path / "tiny"],
        env=os.environ | on_path(folder),
        check=True,
        capture_output=True,
    )
    kept = tmp_path / "kept"
    with scripted_teacher(profile.domain, 0, 0) as url:
        words = ("--against", tmp_path / "tiny", "--profile", path, "--to", kept, "--json")
        done = home.cortex("benchmark", f"scripted-teacher@{url}", *words)
    assert done.returncode == 0, done.stderr
    [suite] = json.loads(done.stdout)["suites"]
    assert suite["suite"] == "markets" and suite["questions"] == QUESTIONS and suite["change"] is not None
    (tmp_path / "data").mkdir()
    write_dataset(profile.domain, profile.seed, Settings(), tmp_path / "data")
    test = read_split(tmp_path / "data", "test", QUESTIONS)
    examples = {example.id: example for example in read_rows(test)}
    reference = profile.domain.baselines(read_split(tmp_path / "data", "train"), test)[profile.domain.scale.reference]
    by_id = dict(zip(test["id"], reference, strict=True))
    for name, of_all in (("answers", suite["after"]), ("against", suite["before"])):
        answers = read_answers(kept / f"{name}.jsonl").suites["markets"].answers
        assert {one.id for one in answers} == set(examples)
        for one in answers:
            graded = profile.domain.grade(examples[one.id], one.reply.strip())
            assert graded.valid == (name == "answers")
            assert one.score == pytest.approx(1 - (graded if graded.valid else by_id[one.id]).loss)
        assert of_all["score"] == pytest.approx(mean(one.score for one in answers))


def test_lm_eval_knows_every_task_by_its_name(home: Home) -> None:
    """And the readings of replies that the suites take."""
    folder = environment("benchmarks", Settings(home=home.folder))
    [tasks] = folder.glob("lib/python*/site-packages/lm_eval/tasks")
    texts = [file.read_text(encoding="utf-8") for file in tasks.rglob("*yaml")]
    known, readings = (
        {name for text in texts for name in re.findall(pattern, text)}
        for pattern in (r"(?m)^[\"']?(?:task|group)[\"']?: *[\"']?(\w+)", r"- name: [\"']?([\w-]+)")
    )
    assert {task for suite in SUITES.values() for task in suite.tasks} <= known
    assert {suite.filter for suite in SUITES.values()} <= readings
