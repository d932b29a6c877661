"""Twenty questions: the oracle, what its answers leave, the scripted player, and mistakes in the section."""

from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from cortex.domains.example_columns import read_rows
from cortex.domains.games.domain import Games
from cortex.domains.games.twenty_questions import Questions, read_exchanges
from cortex.domains.question import Conversation, Example, Message, Question
from cortex.domains.registry import read_domain
from cortex.errors import DataError
from cortex.settings import Settings

GAMES = Games(game=Questions(style="compact"), examples=300)
OPENING = (Message("user", "turns 12"),)


def play(secret: str, faults: float, seed: int = 0) -> tuple[Example, Conversation]:
    """The turns of a scripted game about a thing."""
    example, turns = Example("x", OPENING, secret), list[Message]()
    episode = GAMES.episode(example)
    while True:
        reply = GAMES.game.script(Question("", (*OPENING, *turns)), faults, seed)
        turns.append(Message("assistant", reply))
        told = episode.step(reply)
        if told is None:
            return example, tuple(turns)
        turns += told


def things() -> list[str]:
    assert isinstance(GAMES.game, Questions)
    return GAMES.game.world.things()


def test_a_patient_player_finds_every_thing_out_and_a_hasty_one_few() -> None:
    patient = [GAMES.grade_turns(*play(secret, 0.0)) for secret in things()]
    assert all(graded.loss == 0 and graded.valid for graded in patient)
    assert max(graded.numbers["turns"] for graded in patient) == 11  # 2 + 3 + 3 + 2 questions, and the guess
    hasty = [GAMES.grade_turns(*play(secret, 1.0)) for secret in things()]
    assert sum(graded.loss for graded in hasty) / len(hasty) == pytest.approx(2 / 3)  # of three kinds of stuff


def test_the_oracle_tells_the_truth_and_counts_the_turns() -> None:
    example = Example("x", OPENING, "big red cube iron")
    episode = GAMES.episode(example)
    assert [episode.step(reply) for reply in ("big?", "green?")] == [
        (Message("user", "yes 11"),),
        (Message("user", "no 10"),),
    ]
    assert episode.step("big red cube wood") is None


@pytest.mark.parametrize("reply", ["", "heavy?", "big red cube", "red big cube iron", "big red cube iron.", "big red?"])
def test_a_turn_of_another_form_ends_the_game_and_is_not_by_the_rules(reply: str) -> None:
    example = Example("x", OPENING, "big red cube iron")
    assert GAMES.episode(example).step(reply) is None
    graded = GAMES.grade_turns(example, (Message("assistant", reply),))
    assert (graded.loss, graded.valid, graded.parts) == (1.0, False, {"result": 0.0, "legal": 0.0})


def test_a_game_ends_with_its_last_turn_without_a_guess() -> None:
    episode = GAMES.episode(Example("x", OPENING, "big red cube iron"))
    told = [episode.step("big?") for _ in range(12)]
    assert None not in told[:-1] and told[-1] is None


def test_no_thing_is_hidden_in_two_splits_and_a_test_asks_for_each_once() -> None:
    frame = GAMES.build(0, Settings()).examples
    hidden = {
        split: [str(example.truth) for example in read_rows(frame.filter(pl.col("split") == split))]
        for split in ("train", "validation", "test")
    }
    assert len(set(hidden["test"])) == len(hidden["test"]) == 43
    assert not set(hidden["test"]) & {*hidden["train"], *hidden["validation"]}
    assert len(hidden["train"]) == 300


def test_what_the_answers_leave_is_read_from_the_explained_form_too() -> None:
    game = Questions(style="full")
    example = Example("x", OPENING, "big red cube iron")
    episode, said = game.episode(example), list(OPENING)
    for value in ("small?", "red?"):
        reply = f"<think>so</think><answer>{value}</answer>"
        said += [Message("assistant", reply), *(episode.step(reply) or ())]
    left = game.world.candidates(read_exchanges(tuple(said)))
    assert left[:2] == [["middling", "big"], ["red"]]


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"size": ("big", "small"), "kind": ("big", "old")}, "'big' is there twice"),
        ({"size": ("big", "very small"), "kind": ("new", "old")}, "'very small' .* no single word"),
        ({"size": ("big",), "kind": ("new", "old")}, "one has a single value"),
    ],
)
def test_mistaken_attributes_are_refused_in_one_line(attributes: dict[str, Any], error: str) -> None:
    with pytest.raises(ValidationError, match=error):
        Questions(attributes=attributes)


def test_too_few_things_for_three_splits_are_refused() -> None:
    few = {"kind": "games", "game": {"name": "questions", "attributes": {"a": ["x", "y"], "b": ["u", "v"]}}}
    with pytest.raises(DataError, match=r"domain\.game: 4 things are too few for three splits of 2"):
        read_domain(few).build(0, Settings())
