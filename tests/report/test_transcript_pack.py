"""Transcripts on a page of limited size."""

import base64
import gzip
import json
from typing import Any

import numpy as np
import polars as pl
import pytest

from cortex.report.transcript_pack import FULL, MOST_ANSWERS, Pack, pack, telling

LONG = 3000
QUESTIONS = 400


def make_table(questions: int = QUESTIONS, letters: int = LONG) -> pl.DataFrame:
    """Answers of two models whose texts hardly compress; those of `sft` have every loss from 0 to 1, and some flags."""
    drawn = np.random.default_rng(0)
    letter = np.array(list("abcdefghijklmnopqrstuvwxyz "))
    at = np.tile(np.arange(questions), 2)
    return pl.DataFrame(
        {
            "model": ["base"] * questions + ["sft"] * questions,
            "id": [f"q{index:05d}" for index in at],
            "loss": np.where(np.arange(2 * questions) < questions, 0.25, at / questions),
            "valid": at % 100 != 99,
            "held_back": at % 100 == 98,
            "prompt": ["why?"] * 2 * questions,
            "truth": ["so"] * 2 * questions,
            "answer": ["".join(drawn.choice(letter, size=letters)) for _ in at],
        }
    )


def read(packed: Pack) -> dict[str, Any]:
    return json.loads(gzip.decompress(base64.b64decode(packed.data)))


def test_what_people_look_for_first_is_the_best_the_worst_and_what_is_flagged() -> None:
    found = telling(make_table(letters=3), "sft")
    assert found["best"]["id"].to_list()[:2] == ["q00000", "q00001"]
    assert found["worst"]["id"].to_list()[:2] == ["q00398", "q00397"], (
        "an answer that cannot be read has no loss of its own"
    )
    assert found["flagged"]["id"].to_list() == [f"q{at:05d}" for at in (98, 99, 198, 199, 298, 299, 398, 399)]


def test_a_page_with_room_has_every_answer_whole() -> None:
    packed = pack(make_table(50), "sft", 10_000_000)
    assert (packed.answers, packed.of, packed.limit, packed.told()) == (100, 100, FULL, "")
    assert {len(answer[4]) for answer in read(packed)["answers"]} == {LONG}
    assert pack(make_table(50), "sft", 10_000_000) == packed, "the same bytes each time"


def test_texts_are_cut_before_answers_are_left_out_and_the_telling_ones_last() -> None:
    packed = pack(make_table(), "sft", 700_000)
    data = read(packed)
    assert len(packed.data) <= 700_000 and packed.answers == 2 * QUESTIONS and packed.limit < LONG
    assert f"texts beyond {packed.limit:,} characters are cut" in packed.told()
    whole = {data["questions"][question][0] for model, question, _, _, text in data["answers"] if len(text) == LONG}
    assert {"q00000", "q00398", "q00099"} <= whole and "q00150" not in whole


@pytest.mark.parametrize("budget", [60_000, 3_000, 10])
def test_a_page_without_room_leaves_answers_out_and_says_so(budget: int) -> None:
    packed = pack(make_table(100), "sft", budget)
    assert len(packed.data) <= max(budget, 200) and packed.answers < 200
    assert f"Of 200 answers the page holds {packed.answers:,}" in packed.told()
    assert len(read(packed)["answers"]) == packed.answers


def test_of_very_many_answers_evenly_spread_questions_are_kept_with_all_models() -> None:
    packed = pack(make_table(5000, 3), "sft", 10_000_000)
    assert 0.9 * MOST_ANSWERS < packed.answers <= MOST_ANSWERS
    data = read(packed)
    assert sum(model == 0 for model, *_ in data["answers"]) == packed.answers / 2
    kept = np.array([int(key[1:]) for key, _, _ in data["questions"]])
    assert 0.4 < np.mean(kept < 2500) < 0.6
