"""The domain of maths and logic: its questions, its grades, its scripted teacher, and mistakes in its section."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cortex.domains.dataset import build_dataset, describe_dataset, read_split
from cortex.domains.domain import Example, Message, Question
from cortex.domains.example_columns import read_rows
from cortex.domains.gym.compact_forms import COMPACT
from cortex.domains.gym.domain import Gym
from cortex.domains.gym.drawing import APART, share
from cortex.domains.gym.faulty_answers import misled
from cortex.domains.gym.generators import SIZE, Address, entry_at
from cortex.domains.gym.refused_tasks import EVALUATED, NO_ANSWER
from cortex.domains.gym.replies import write_reply
from cortex.domains.gym.task_config import Task
from cortex.domains.registry import read_domain
from cortex.errors import ConfigError, CortexError
from cortex.profiles.profile_file import load_profile
from cortex.settings import CHECKOUT, Settings

FEW = {"examples": 60, "validation_examples": 10, "test_examples": 30}


def gym(tasks: dict[str, Any], **keys: Any) -> Gym:
    domain = read_domain({"kind": "gym", "tasks": tasks, **FEW, **keys})
    assert isinstance(domain, Gym)
    return domain


def rows(domain: Gym, seed: int = 0) -> pl.DataFrame:
    return domain.build(seed, Settings()).examples


def first_question(task: str) -> tuple[Gym, Example]:
    """One question alone: some generators are slow."""
    domain, address = gym({task: {}}), Address(task, None, 1, 0)
    entry = entry_at(domain.tasks, address)[1]
    return domain, Example(str(address), (Message("user", entry["question"]),), entry["answer"])


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


SUM = {"chain_sum": {"config": {"max_terms": 2, "max_digits": 2}}}


@pytest.mark.parametrize(
    ("reply", "right", "valid"),
    [
        ("<think>so</think><answer>{}</answer>", 1.0, True),
        ("so</think>\n\n<answer>\n{}\n</answer>", 1.0, True),
        ("<think>so</think><answer>{}.0</answer>", 1.0, True),
        ("<think>so</think><answer>it is {}</answer>", 0.0, True),
        ("<think></think><answer>{}</answer>", 0.0, False),
        ("<answer>{}</answer>", 0.0, False),
        ("<think>so</think><answer>{}</answer><answer>7</answer>", 0.0, False),
        ("<think>so</think><answer>{}</answer> I think", 0.0, False),
        ("<think><answer>{}</answer></think>", 0.0, False),
        ("<think>so</think>{}", 0.0, False),
    ],
)
def test_a_reply_is_right_only_with_full_marks_and_in_form(reply: str, right: float, valid: bool) -> None:
    domain = gym(SUM)
    example = next(read_rows(rows(domain)))
    graded = domain.grade(example, reply.format(example.truth))
    assert (1 - graded.loss, graded.valid, graded.parts["answer"]) == (right, valid, right)


def test_partial_credit_is_counted_only_where_it_is_asked_for() -> None:
    words = {"spell_backward": {"config": {"min_word_len": 5}}}
    example = next(read_rows(rows(gym(words))))
    reply = write_reply(misled(str(example.truth)), "full")
    exact, partial = gym(words).grade(example, reply), gym(words, credit="partial").grade(example, reply)
    assert exact.numbers == partial.numbers and 0 < exact.numbers["verifier"] < 1
    assert exact.loss == 1
    assert 1 - partial.loss == partial.parts["answer"] == partial.numbers["verifier"]


def test_a_floor_of_the_verifier_earns_nothing() -> None:
    domain, example = first_question("countdown")
    graded = domain.grade(example, write_reply("1 + 1", "full"))
    assert 0 < graded.numbers["verifier"] < 0.1
    assert graded.loss == 1


def test_an_answer_of_another_generator_is_no_example_of_this_one() -> None:
    example = next(read_rows(rows(gym(SUM))))
    other = gym({"chain_sum": {"config": {"min_digits": 3, "max_digits": 3}}})
    with pytest.raises(CortexError, match=r"made with another config of domain\.tasks\.chain_sum"):
        other.grade(example, write_reply("7", "full"))
    with pytest.raises(CortexError, match=r"id 'seven' is not TASK/LEVEL/SEED/NUMBER"):
        other.grade(Example("seven", (Message("user", "?"),), "7"), write_reply("7", "full"))


@pytest.mark.parametrize("task", sorted(EVALUATED))
def test_no_verifier_runs_a_reply_as_a_program(task: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    domain, example = first_question(task)
    assert domain.grade(example, write_reply(str(example.truth), "full")).loss == 0
    for program in (
        f"open('{mark}', 'w')",
        f"__import__('pathlib').Path('{mark}').touch()",
        f"[c for c in ().__class__.__base__.__subclasses__() if open('{mark}', 'w')]",
        "9**9**9**9",
        "2**(9999999999)",
        "exit()",
    ):
        assert domain.grade(example, write_reply(program, "full")).loss == 1, program
    assert not mark.exists()


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


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"tasks": {"chain_sun": {}}}, r"no task 'chain_sun' in reasoning-gym: did you mean 'chain_sum'\?"),
    (
        {"tasks": {"chain_sum": {"config": {"max_term": 3}}}},
        r"chain_sum\.config: unknown key 'max_term': did .*'max_terms'",
    ),
    (
        {"tasks": {"chain_sum": {"config": {"max_terms": 1}}}},
        r'config \{"max_terms": 1\} is refused .*max_terms must be',
    ),
    ({"tasks": {"chain_sum": {"config": {"max_terms": "x"}}}}, r"chain_sum: config .* is refused by its generator"),
    ({"tasks": {"chain_sum": {"levels": [0, 11]}}}, r"chain_sum: no level 11: its curriculum has levels 0 to 10"),
    ({"tasks": {"gsm_symbolic": {"levels": [0]}}}, r"gsm_symbolic: the task has no curriculum: remove `levels`"),
    ({"tasks": {"zebra_puzzles": {}}}, r"zebra_puzzles needs the package pycosat, which the kit leaves out"),
    ({"tasks": {"game_of_life_halting": {}}}, r"verifier takes any reply for 'False'; leave it out"),
    ({"tasks": {"syllogism": {}}, "style": "compact"}, r"syllogism has no compact form \(chain_sum, .*use style: full"),
    *[({"tasks": {name: {}}}, rf"{name} has no answer to imitate, .*unanswered: true") for name in NO_ANSWER],
]


@pytest.mark.parametrize(("keys", "message"), MISTAKES, ids=[message[:40] for _, message in MISTAKES])
def test_a_mistake_in_a_task_is_one_line(keys: dict[str, Any], message: str) -> None:
    domain = gym(**keys)
    for attempt in (lambda: domain.check(Settings()), lambda: domain.build(0, Settings())):
        with pytest.raises(ConfigError, match=message) as caught:
            attempt()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("domain.tasks={}", r"domain\.tasks"),
        ("domain.tasks={chain_sum: {weight: 0}, syllogism: {weight: 0}}", r"weights sum to 0"),
        ("domain.tasks={chain_sum: {weight: -1}}", r"weight"),
        ("domain.tasks={chain_sum: {wieght: 1}}", r"did you mean 'weight'\?"),
        ("domain.tasks={chain_sum: {levels: []}}", r"give at least one"),
        ("domain.tasks={chain_sum: {config: {seed: 3}}}", r"'seed' comes from the profile's seed"),
    ],
)
def test_a_mistake_in_the_section_is_found_when_the_profile_is_read(change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_profile("rehearsal-gym", sets=[change])


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
