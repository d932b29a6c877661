"""The domain of maths and logic: its questions, its grades, its scripted teacher, and mistakes in its section."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from cortex.domains.dataset import build_dataset, describe_dataset, read_split
from cortex.domains.example_columns import read_rows
from cortex.domains.gym.compact_forms import COMPACT
from cortex.domains.gym.drawing import APART, share
from cortex.domains.gym.faulty_answers import misled
from cortex.domains.gym.generators import SIZE, Address
from cortex.domains.gym.replies import write_reply
from cortex.domains.gym.task_config import Task
from cortex.domains.question import Message, Question
from cortex.errors import CortexError
from cortex.evaluation.grades import Grades
from cortex.settings import CHECKOUT, Settings
from tests.domains.gym.asking import gym, rows


def prompts(frame: pl.DataFrame) -> list[str]:
    return [example.text for example in read_rows(frame)]


def test_splits_have_seeds_of_their_own_and_share_no_question() -> None:
    # One-digit sums of two terms: some 200 in all, so that equal seeds or not, the generator repeats itself.
    few = {"chain_sum": {"config": {"max_terms": 2, "max_digits": 1}}}
    frame = rows(gym(few, examples=100, test_examples=40))
    assert len(set(prompts(frame))) == len(frame) == 150
    seeds = {split: {Address.read(name).seed for name in part["id"]} for (split,), part in frame.group_by("split")}
    assert all(len(found) == 1 for found in seeds.values())
    ordered = sorted(min(found) for found in seeds.values())
    assert min(later - earlier for earlier, later in pairwise(ordered)) == APART
    assert APART - SIZE >= 10**7


def test_a_task_with_too_few_questions_says_how_many_it_has() -> None:
    few = {"chain_sum": {"config": {"max_terms": 2, "max_digits": 1}}}
    with pytest.raises(CortexError, match=r"tasks\.chain_sum has too few different questions: \d+ of the 400 .* train"):
        rows(gym(few, examples=400))


def test_equal_seeds_give_equal_examples_in_another_process_and_other_seeds_give_others() -> None:
    domain = gym({"spell_backward": {}, "chain_sum": {"levels": [0, 1]}, "syllogism": {}})
    program = (
        "import json, sys; from cortex.domains.registry import read_domain; from cortex.settings import Settings;"
        "print(read_domain(json.loads(sys.argv[1])).build(3, Settings()).examples.write_json())"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, domain.model_dump_json()],
        env={"PYTHONHASHSEED": "77", "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == json.loads(rows(domain, 3).write_json())
    assert not set(prompts(rows(domain, 3))) & set(prompts(rows(domain, 4)).copy()[:5])


def test_weights_divide_the_examples_and_tasks_take_turns() -> None:
    frame = rows(gym({"chain_sum": {"weight": 2}, "spell_backward": {}, "syllogism": {"weight": 0}}))
    assert share({"a": Task(weight=1), "b": Task(weight=1), "c": Task(weight=1)}, 10) == {"a": 4, "b": 3, "c": 3}
    train = frame.filter(pl.col("split") == "train")["task"].to_list()
    assert {name: train.count(name) for name in set(train)} == {"chain_sum": 40, "spell_backward": 20}
    assert {name: train[:15].count(name) for name in set(train)} == {"chain_sum": 10, "spell_backward": 5}


def test_a_dataset_on_disk_counts_each_task_and_names_the_version(tmp_path: Path) -> None:
    domain = gym({"chain_sum": {}, "spell_backward": {}}, examples=20, validation_examples=8, test_examples=10)
    build_dataset(domain, 0, Settings(), tmp_path / "built")
    described = describe_dataset(tmp_path / "built")
    assert {name: split["tasks"] for name, split in described["splits"].items()} == {
        "train": {"chain_sum": 10, "spell_backward": 10},
        "validation": {"chain_sum": 4, "spell_backward": 4},
        "test": {"chain_sum": 5, "spell_backward": 5},
    }
    assert described["source"]["version"] == "0.1.25"
    test = read_split(tmp_path / "built", "test")
    assert domain.facts(test, test) == {"test questions by task": "chain_sum 5, spell_backward 5"}


def test_levels_are_those_of_the_curriculum_mixed_or_rising() -> None:
    tasks = {"chain_sum": {"levels": [0, 3], "config": {"max_digits": 1}, "test_levels": [8]}}
    mixed, rising = rows(gym(tasks)), rows(gym(tasks, order="rising"))
    train = pl.col("split") == "train"
    assert mixed.filter(train)["level"].to_list() == [0, 3] * 30
    assert rising.filter(train)["level"].to_list() == [0] * 30 + [3] * 30
    assert set(mixed.filter(~train)["level"]) == {8}
    terms = {
        level: max(text.count("+") + text.count("-") + 1 for text in map(_asked, prompts(part)))
        for (level,), part in mixed.group_by("level")
    }
    assert terms[0] == 2 and terms[3] == 5 and terms[8] <= 10 < terms[8] + 5


def _asked(prompt: str) -> str:
    return prompt.partition(": ")[2].partition(" =")[0]


@pytest.mark.parametrize("task", sorted(COMPACT))
def test_compact_forms_are_short_and_read_back(task: str) -> None:
    domain = gym({task: {}}, style="compact")
    for example in read_rows(rows(domain)):
        gold = domain.exemplars(example)
        assert gold is not None
        assert domain.grade(example, gold.gold).loss == 0
        assert len(example.text) < 60 and "<think>" not in gold.gold


def test_the_scripted_teacher_errs_in_one_way() -> None:
    domain = gym({"spell_backward": {"config": {"min_word_len": 5}}}, style="compact", examples=300)
    train = [example for example in read_rows(rows(domain)) if example.split == "train"]
    replies = [domain.script(Question("", example.messages), 0) for example in train]
    assert {domain.imitable(Question("", e.messages), r).grade for e, r in zip(train, replies, strict=True)} == {
        "accepted"
    }
    wrong = [(e, r) for e, r in zip(train, replies, strict=True) if domain.grade(e, r).loss]
    assert 0.5 < len(wrong) / len(train) < 0.65  # words that end in two equal letters stay right
    for example, reply in wrong:
        truth = example.text[::-1]
        assert reply == f"<answer>{truth[:-2]}{truth[-1]}{truth[-2]}</answer>"
    assert domain.script(Question("", (Message("user", "never asked"),)), 0) == "I do not know."


@pytest.mark.parametrize(
    ("answer", "habit"),
    [("41", "42"), ("-1", "0"), ("abcde", "abced"), ("abc", "abc"), ("a b c", "a c b"), ("1 2\n3 4", "3 4\n1 2")],
)
def test_a_habit_changes_an_answer_in_one_way(answer: str, habit: str) -> None:
    assert misled(answer) == habit


def test_baselines_know_only_training_answers() -> None:
    domain = gym({"syllogism": {}, "spell_backward": {}}, examples=200, test_examples=100)
    frame = rows(domain)
    train, test = (frame.filter(pl.col("split") == split) for split in ("train", "test"))
    found = domain.baselines(train, test)
    yes_no = (test["task"] == "syllogism").to_list()
    for name in ("usual", "drawn", "shortest"):
        right = [1 - graded.loss for graded, logic in zip(found[name], yes_no, strict=True) if logic]
        assert 0.2 < sum(right) / len(right) < 0.9
        assert not any(1 - graded.loss for graded, logic in zip(found[name], yes_no, strict=True) if not logic)


def test_scores_are_told_apart_by_task() -> None:
    domain = gym({"chain_sum": {}, "spell_backward": {}, "gcd": {"weight": 0}}, examples=20, test_examples=20)
    frame = rows(domain).filter(pl.col("split") == "test")
    gold = [domain.exemplars(example) for example in read_rows(frame)]
    sums = frame["task"] == "chain_sum"
    replies = [known.gold if known and is_sum else "nothing" for known, is_sum in zip(gold, sums, strict=True)]
    graded = [domain.grade(example, reply) for example, reply in zip(read_rows(frame), replies, strict=True)]
    grades = Grades.of(graded, graded)
    assert domain.details(grades) == {
        "by_task": {"chain_sum": {"examples": 10, "right": 1.0}, "spell_backward": {"examples": 10, "right": 0.0}}
    }


def test_a_task_without_answers_is_verified_where_a_teacher_solves_it() -> None:
    domain = gym({"graph_color": {}}, unanswered=True, examples=10, validation_examples=8, test_examples=10)
    frame = rows(domain)
    example = next(read_rows(frame))
    assert example.truth is None and domain.exemplars(example) is None
    assert domain.grade(example, write_reply("{}", "full")).loss == 1
    assert {graded.loss for graded in domain.baselines(frame, frame)["usual"]} == {1.0}
    assert domain.script(Question("", example.messages), 0) == "I do not know."


def test_reading_a_profile_does_not_import_the_library() -> None:
    program = (
        "import sys; from cortex.profiles.profile_file import load_profile; load_profile('rehearsal-gym');"
        "print([name for name in ('reasoning_gym', 'sympy', 'polars') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_scripted_teacher_has_no_habit_where_its_prompt_warns_of_it() -> None:
    domain = gym({"spell_backward": {"config": {"min_word_len": 5}}}, style="compact", examples=100)
    guide = Message("system", domain.teacher_prompt())
    asked = list(read_rows(rows(domain)))
    assert {example.split for example in asked} == {"train", "validation", "test"}
    guided = [domain.script(Question("", (guide, *example.messages)), 0) for example in asked]
    assert sum(domain.grade(*pair).loss for pair in zip(asked, guided, strict=True)) == 0
    plain = [domain.script(Question("", example.messages), 0) for example in asked]
    assert sum(domain.grade(*pair).loss for pair in zip(asked, plain, strict=True)) > 0.4 * len(asked)
