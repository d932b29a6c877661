"""Nim: the truth of its positions, its scripted games, matches of two players, and mistakes in its section."""

import random
from functools import cache
from typing import Any

import polars as pl
import pytest

from cortex.domains.example_columns import read_rows
from cortex.domains.games.domain import Games
from cortex.domains.games.nim import Nim
from cortex.domains.games.nim_play import NimMatch, moves_of
from cortex.domains.games.nim_rules import Position, after, legal_moves, winning_moves
from cortex.domains.games.nim_words import read_move, read_position, write_move, write_question
from cortex.domains.mixture import read_described
from cortex.domains.question import Example, Message
from cortex.domains.registry import read_domain
from cortex.errors import DataError
from cortex.settings import Settings

NIM = Nim(style="compact", heaps=2, largest=8)
SMALL = Games(game=NIM, examples=200, validation_examples=8, test_examples=20)


@cache
def wins(position: Position, take: int | None) -> bool:
    """True where the player to move can win: by search, without nim-sums."""
    return any(not wins(after(position, move), take) for move in legal_moves(position, take))


@pytest.mark.parametrize("take", [None, 1, 2, 3])
def test_winning_moves_are_those_of_an_exhaustive_search(take: int | None) -> None:
    for position in [(a, b, c) for a in range(5) for b in range(5) for c in range(4)]:
        found = [move for move in legal_moves(position, take) if not wins(after(position, move), take)]
        assert list(winning_moves(position, take)) == found


def winning(example: Example) -> list[str]:
    truth: Any = example.truth
    return truth["winning"]


def test_no_training_turn_is_at_a_held_out_position() -> None:
    frame = SMALL.build(0, Settings()).examples
    held = {
        tuple(sorted(read_position(example.text))) for example in read_rows(frame.filter(pl.col("split") != "train"))
    }
    for example in read_rows(frame.filter(pl.col("split") == "train")):
        told = [message.content for message in example.messages if message.role == "user"]
        assert not held & {tuple(sorted(read_position(text))) for text in told}


def test_a_scripted_game_keeps_to_the_rules_and_its_fault_is_to_empty_the_largest_heap() -> None:
    frame = SMALL.build(0, Settings()).examples
    examples = [example for example in read_rows(frame.filter(pl.col("split") == "train")) if winning(example)]
    moves = [read_move(SMALL.script(example, 0), "compact") or (0, -1) for example in examples]
    wrong = [
        (move, read_position(example.text))
        for move, example in zip(moves, examples, strict=True)
        if f"{'ab'[move[0]]} {move[1]}" not in winning(example)
    ]
    assert 0.2 < len(wrong) / len(examples) < 0.6
    assert all(left == 0 and position[heap] == max(position) for (heap, left), position in wrong)


@pytest.mark.parametrize("opponent", ["perfect", "random"])
def test_who_plays_without_a_mistake_beats_both_opponents(opponent: str) -> None:
    example = Example("x", (Message("user", "5 7"),), {"opponent": opponent})
    episode, turns, told = SMALL.episode(example), list[Message](), "5 7"
    while True:
        reply = write_move(winning_moves(read_position(told), None)[0], "compact")
        turns.append(Message("assistant", reply))
        answer = episode.step(reply)
        if answer is None:
            break
        turns += answer
        told = answer[-1].content
    graded = SMALL.grade_turns(example, tuple(turns))
    assert (graded.loss, graded.parts["result"], graded.numbers["won"]) == (0.0, 1.0, 1.0)
    assert graded.numbers["turns"] == len(moves_of(example.messages, tuple(turns)))


def test_a_game_is_lost_by_a_move_against_the_rules_and_its_earlier_moves_still_count() -> None:
    example = Example("x", (Message("user", "5 7"),), {"opponent": "perfect"})
    episode = SMALL.episode(example)
    told = episode.step("b 5")
    assert told is not None
    assert episode.step("a 9") is None
    turns = (Message("assistant", "b 5"), *told, Message("assistant", "a 9"))
    graded = SMALL.grade_turns(example, turns)
    assert (graded.loss, graded.valid, graded.numbers["won"], graded.parts["legal"]) == (0.5, False, 0.0, 0.0)


def test_each_seat_of_a_match_sees_a_conversation_of_its_own_and_one_of_them_wins() -> None:
    match = NimMatch(NIM.table, (Message("user", "2 3"),))
    seen: dict[int, list[str]] = {0: [], 1: []}
    for reply in ("b 2", "a 0", "b 0"):
        asked = match.to_move()
        assert asked is not None
        seat, told = asked
        seen[seat] += [message.content for message in told]
        match.move(reply)
    assert match.to_move() is None
    assert seen == {0: ["2 3", "0 2"], 1: ["2 2"]}
    first, second = match.grades()
    assert (first.parts["result"], second.parts["result"]) == (1.0, 0.0)
    assert (first.loss, first.numbers["turns"], second.loss) == (0.0, 2.0, 0.0)  # the second had no winning move


def test_a_seat_that_breaks_the_rules_loses_and_the_other_wins_even_without_a_move() -> None:
    match = NimMatch(NIM.table, (Message("user", "2 3"),))
    match.move("b 3")
    assert match.to_move() is None
    first, second = match.grades()
    assert (first.parts["result"], first.valid, second.parts["result"]) == (0.0, False, 1.0)


def test_several_domains_name_the_parts_of_a_match() -> None:
    both = read_described({"kind": "mixture", "domains": [{"name": "nim", "domain": SMALL.model_dump()}]})
    match = both.match(Example("nim/x", (Message("user", "0 3"),), None))
    assert both.plays_matches() and match is not None
    match.move("b 0")
    assert [set(graded.parts) for graded in match.grades()] == [{"nim/result", "nim/legal"}] * 2
    assert both.reward(match.grades()[0]) == pytest.approx(1.1)


def test_positions_and_moves_survive_the_explained_form() -> None:
    draw = random.Random(0)
    for _ in range(50):
        position = tuple(draw.randint(0, 40) for _ in range(draw.randint(1, 8)))
        assert read_position(write_question(position, "full", 3)) == position
        move = (draw.randrange(8), draw.randint(0, 40))
        assert read_move(write_move(move, "full"), "full") == read_move(write_move(move, "compact"), "compact") == move


@pytest.mark.parametrize(
    "reply", ["", "b", "b 05", "b -1", "b 2 ", "i 2", "b 2\nb 2", "<think></think><answer>b 2</answer>"]
)
def test_other_forms_are_no_moves(reply: str) -> None:
    assert read_move(reply, "full") is None
    assert reply.strip() == "b 2" or read_move(reply, "compact") is None


def test_too_few_positions_for_three_splits_are_refused_in_one_line() -> None:
    few = read_domain({"kind": "games", "game": {"name": "nim", "heaps": 1, "largest": 4}})
    with pytest.raises(DataError, match=r"domain\.game: Nim .* has 4 starting positions .*: raise either"):
        few.build(0, Settings())
