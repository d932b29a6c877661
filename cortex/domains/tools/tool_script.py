"""A stand-in for a teacher that knows the tools, and has a bad habit: it often answers by a guess, without looking."""

import random
from collections.abc import Sequence

from cortex.domains.question import Conversation
from cortex.domains.tools.made_world import World
from cortex.domains.tools.tool_calls import Style, write_call
from cortex.domains.tools.tool_prompt import write_answer
from cortex.domains.tools.tool_questions import UNKNOWN, Asked, read_question


def play(turns: Conversation, world: World, style: Style, seed: int, faults: float) -> str:
    """The teacher's next turn in a conversation. `faults` is the share of its questions in which it guesses."""
    last = max(at for at, turn in enumerate(turns) if turn.role == "user")
    asked = read_question(turns[last].content, style)
    if asked is None:
        return write_answer(UNKNOWN)
    rng = random.Random(f"{seed} {turns[last].content}")  # the same in all turns of a question
    if rng.random() < faults:
        return write_answer(_guess(asked, world, rng))
    results = [turn.content for turn in turns[last:] if turn.role == "tool"]
    call = asked.call(results)
    return write_call(call, style) if call else write_answer(asked.answer(results))


def _guess(asked: Asked, world: World, rng: random.Random) -> str:
    """An answer of the right sort, by chance."""
    sort: Sequence[str] = {
        "search": sorted(set(world.towns.values())),
        "price": [close for closes in world.prices.closes.values() for close in closes],
    }.get(asked.kind, [str(number) for number in range(100)])
    return rng.choice(sort)
