import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from cortex.benchmarks.domain_tasks import write_domain_tasks
from cortex.benchmarks.task_functions import question, score_reply
from cortex.domains.dataset import read_split, write_dataset
from cortex.domains.example_columns import EXAMPLES, read_rows
from cortex.errors import DataError
from cortex.profiles.profile_file import load_profile
from cortex.settings import Settings

SMALL = {"domain.source": {"kind": "simulator", "chains": 2, "days": 420}}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_dataset(load_profile("rehearsal", SMALL).domain, 0, Settings(), folder)
    return folder


def test_a_reply_scores_as_the_domain_grades_it(dataset: Path, tmp_path: Path) -> None:
    domain = load_profile("rehearsal", SMALL).domain
    [task] = write_domain_tasks(domain, dataset, tmp_path, count=12, max_tokens=64)
    docs = [json.loads(line) for line in (tmp_path / "markets.jsonl").read_text().splitlines()]
    examples = list(read_rows(read_split(dataset, "test", 12)))
    train, test = read_split(dataset, "train"), read_split(dataset, "test", 12)
    reference = domain.baselines(train, test)[domain.scale.reference]
    assert len(docs) == len(task.questions) == 12
    for doc, example, unread, asked in zip(docs, examples, reference, task.questions, strict=True):
        reply = domain.script(example, 0)
        graded = domain.grade(example, reply)
        assert question(doc) == example.text == asked.prompt and asked.id == example.id
        assert score_reply(doc, [f" {reply}\n"]) == {"score": pytest.approx(1 - graded.loss), "valid": 1.0}
        for nonsense in ("I do not know", "", None):
            assert score_reply(doc, [nonsense]) == {"score": pytest.approx(1 - unread.loss), "valid": 0.0}


def test_blank_lines_end_no_answer(dataset: Path, tmp_path: Path) -> None:
    """Left to itself lm-eval ends replies at a blank line, where many a model's reasoning goes on."""
    write_domain_tasks(load_profile("rehearsal", SMALL).domain, dataset, tmp_path, count=2, max_tokens=64)
    task = yaml.safe_load((tmp_path / "markets.yaml").read_text().replace("!function ", ""))
    assert task["generation_kwargs"]["until"] == [] and task["generation_kwargs"]["max_gen_toks"] == 64


def test_questions_of_several_turns_are_refused(dataset: Path, tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Up?"}]
    rows = pl.read_parquet(dataset / EXAMPLES)
    rows.with_columns(pl.Series("messages", [turns] * len(rows))).write_parquet(tmp_path / EXAMPLES)
    with pytest.raises(DataError, match="of markets has 2 turns, and lm-eval asks in one"):
        write_domain_tasks(
            load_profile("rehearsal", SMALL).domain, tmp_path, tmp_path / "tasks", count=2, max_tokens=64
        )
