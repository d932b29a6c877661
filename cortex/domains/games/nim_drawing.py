"""The examples of Nim: turns of scripted games to learn from, and held-out starting positions to be judged by."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations_with_replacement, count, cycle, islice

from pydantic import JsonValue

from cortex.domains.games.game import Drawn
from cortex.domains.games.nim_play import OPPONENTS, Table
from cortex.domains.games.nim_rules import HEAPS, Position, winning_moves
from cortex.domains.games.nim_words import write_position, write_question
from cortex.domains.question import Conversation, Example, Message, Split
from cortex.errors import DataError

Teach = Callable[[Conversation], str]
"""Takes a conversation, and returns the next turn of a scripted player."""

Heaps = tuple[int, ...]
"""The sticks of all heaps, the smallest first: positions that differ in the heaps' order alone are one cluster."""

FEWEST = 2
"""Clusters of starting positions that each split needs."""


def draw_games(
    table: Table,
    heaps: int,
    largest: int,
    test_share: float,
    counts: Mapping[Split, int],
    teach: Teach,
    seed: int,
) -> list[Drawn]:
    """The examples of all splits, each with its cluster; `teach` gives the turns of scripted games.

    Raises:
        DataError: there are too few starting positions that can be won.
    """
    draw = random.Random(f"{seed} nim")
    starts = [
        position
        for position in combinations_with_replacement(range(1, largest + 1), heaps)
        if winning_moves(position, table.take)
    ]
    draw.shuffle(starts)
    test = round(len(starts) * test_share)
    held = {"test": starts[:test], "validation": starts[test : test + test // 3]}
    train = starts[test + test // 3 :]
    if min(len(train), *(len(some) for some in held.values())) < FEWEST:
        raise DataError(
            f"domain.game: Nim with heaps {heaps} and largest {largest} has {len(starts)} starting positions that can "
            f"be won, too few for three splits of {FEWEST}: raise either"
        )
    kept = {position for some in held.values() for position in some}
    found = list(islice(_played(table, train, kept, teach, draw), counts["train"]))
    for split in ("validation", "test"):
        found += islice(_starting(table, held[split], split, draw), counts[split])
    return found


def _starting(table: Table, starts: Sequence[Heaps], split: Split, draw: random.Random) -> Iterator[Drawn]:
    """Starting positions in turns, their heaps in any order: one round over all against each opponent after another."""
    for round_, opponent in enumerate(cycle(OPPONENTS)):
        for start in starts:
            position = _shuffled(start, draw)
            question = (Message("user", write_question(position, table.style, table.take)),)
            name = f"{split}/{round_}/{'-'.join(map(str, position))}"
            yield _drawn(table, name, position, question, opponent, split)


def _played(
    table: Table, starts: Sequence[Heaps], held: set[Heaps], teach: Teach, draw: random.Random
) -> Iterator[Drawn]:
    """The first player's turns in scripted games, up to a position that is held out."""
    for number in count():
        position = _shuffled(draw.choice(starts), draw)
        said: Conversation = (Message("user", write_question(position, table.style, table.take)),)
        for turn in count():
            if not any(position) or tuple(sorted(position)) in held:
                break
            yield _drawn(table, f"train/{number}/{turn}", position, said, "perfect", "train")
            reply = teach(said)
            position = _played_on(table, position, reply, teach)
            said = (*said, Message("assistant", reply), Message("user", write_position(position, table.style)))


def _played_on(table: Table, position: Position, reply: str, teach: Teach) -> Position:
    """The position after a turn and, if the game goes on, the other player's, who sees a question of its own."""
    left = table.played(position, reply)
    assert left is not None, f"a scripted move breaks the rules: {reply!r} at {position}"
    if not any(left):
        return left
    asked = (Message("user", write_question(left, table.style, table.take)),)
    answered = table.played(left, teach(asked))
    assert answered is not None, f"a scripted move breaks the rules at {left}"
    return answered


def _shuffled(start: Heaps, draw: random.Random) -> Position:
    return tuple(draw.sample(start, len(start)))


def _drawn(table: Table, name: str, position: Position, said: Conversation, opponent: str, split: Split) -> Drawn:
    moves = [f"{HEAPS[heap]} {left}" for heap, left in winning_moves(position, table.take)]
    truth: JsonValue = {"winning": [*moves], "opponent": opponent}
    return Example(name, said, truth, split), "-".join(map(str, sorted(position)))
