"""Questions of texts that are in two splits."""

import random

import polars as pl

from cortex.auditing.duplicate_check import check_duplicates
from cortex.domains.audit_words import view_words
from cortex.domains.example_columns import one_turn

WORDS = [f"w{number}" for number in range(5000)]


def questions(count: int, seed: int, form: str = "Read this and say how it ends: {}") -> list[str]:
    draw = random.Random(seed)
    return [form.format(" ".join(draw.choices(WORDS, k=30))) for _ in range(count)]


def found(train: list[str], test: list[str]) -> list[tuple[str, str]]:
    texts = train + test
    rows = pl.DataFrame({"split": ["train"] * len(train) + ["test"] * len(test)}).with_columns(
        pl.Series("id", [f"q{number}" for number in range(len(texts))]), one_turn(pl.Series(texts)).alias("messages")
    )
    return [(check, text) for check, text in check_duplicates(rows, view_words(rows))]


def test_different_questions_of_one_form_are_no_duplicates() -> None:
    assert found(questions(300, 0), questions(100, 1)) == []


def test_the_same_question_is_found_also_where_it_is_short() -> None:
    assert found(["a b", *questions(50, 0)], ["A  b", *questions(20, 1)]) == [
        ("duplicates", "1 test questions are in train, too, such as q51 as q0")
    ]


def test_a_question_with_a_word_changed_is_nearly_the_same() -> None:
    train = questions(300, 0)
    changed = [text.replace(text.split()[20], "else", 1) for text in train[:10]]
    [(check, text)] = found(train, [*questions(90, 1), *changed])
    assert (check, text[:45]) == ("near-duplicates", "10 test questions are nearly in train, such a")


def test_questions_that_share_half_of_their_words_are_different() -> None:
    train = questions(300, 0)
    other = questions(20, 2)
    half = [" ".join([*one.split()[:22], *two.split()[22:]]) for one, two in zip(train, other, strict=False)]
    assert found(train, half) == []


def test_short_questions_that_differ_by_a_word_are_different_tasks() -> None:
    form = "Spell this backward: {}"
    assert found([form.format(word) for word in WORDS[:200]], [form.format(word) for word in WORDS[200:300]]) == []
