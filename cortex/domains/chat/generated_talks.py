"""Small talk from templates: a person mentions facts, chats, and asks for one of them, so that a right answer exists.

Some conversations have rude replies, some loaded ones that name a wrong fact: there is something to filter out.
"""

import hashlib
import json
import random
from typing import Any

from cortex.domains.chat.chat_config import GeneratedTalks
from cortex.domains.chat.conversation_files import ReadFile, read_conversations
from cortex.domains.chat.conversation_formats import FORMATS, Format
from cortex.domains.chat.talk_words import (
    ACKNOWLEDGED,
    ANSWERS,
    ASKS,
    FACTS,
    INSULTS,
    LOADED,
    OPENINGS,
    SMALL,
    TELLS,
    TOPICS,
    WELCOMES,
)

Exchange = tuple[str, str, str | None]
"""A user's turn, the reply, and the fact that a right reply names, if any."""


def read_generated(source: GeneratedTalks, seed: int, max_words: int) -> list[ReadFile]:
    """The conversations of a seed, written in the three formats in turn, and read as files are."""
    lines: dict[Format, list[bytes]] = {kind: [] for kind in FORMATS}
    for number in range(source.talks):
        draw = random.Random(f"{seed} again {number}")
        again = number > 0 and draw.random() < source.again
        told = draw.randrange(number) if again else number
        talk = draw_talk(source, random.Random(f"{seed} talk {told}"))
        if again and draw.random() < 0.5:
            talk = [("hello again", talk[0][1], None), *talk]
        kind = FORMATS[number % len(FORMATS)]
        lines[kind].append(json.dumps(write_record(kind, talk)).encode())
    return [
        read_conversations(f"{kind}.jsonl", written, hashlib.sha256(b"\n".join(written)).hexdigest(), max_words)
        for kind, written in lines.items()
    ]


def draw_talk(source: GeneratedTalks, draw: random.Random) -> list[Exchange]:
    """One conversation: perhaps a greeting, two facts with small talk around them, and a question for one of them."""
    manner = draw.random()
    rude, loaded = manner < source.rude, source.rude <= manner < source.rude + source.loaded
    first, second = draw.sample(list(FACTS), 2)
    values = {kind: draw.choice(FACTS[kind]) for kind in (first, second)}
    told: list[Exchange] = [
        (draw.choice(TELLS[kind]).format(value), draw.choice(ACKNOWLEDGED).format(value), None)
        for kind, value in values.items()
    ]
    chat = [_small(draw) for _ in range(draw.randint(1, 2))]
    talk = [(draw.choice(OPENINGS), draw.choice(WELCOMES), None)] if draw.random() < 0.3 else []
    talk += [told[0], *chat[:1], told[1], *chat[1:]]
    for kind in draw.sample([first, second], draw.choice((1, 1, 2))):
        said = values[kind] if not loaded else draw.choice([each for each in FACTS[kind] if each != values[kind]])
        talk.append((draw.choice(ASKS[kind]), draw.choice(ANSWERS[kind]).format(said), values[kind]))
    manners = INSULTS if rude else LOADED if loaded else ("{}",)
    return [(asked, draw.choice(manners).format(reply), fact) for asked, reply, fact in talk]


def write_record(kind: Format, talk: list[Exchange]) -> dict[str, Any]:
    """A conversation as a record of a format."""
    if kind == "alpaca":
        *before, (asked, reply, fact) = talk
        history = [[earlier, answer] for earlier, answer, _ in before]
        return {"instruction": asked, "input": "", "output": reply, "history": history, **_wanted(fact)}
    role, content = ("role", "content") if kind == "messages" else ("from", "value")
    speakers = ("user", "assistant") if kind == "messages" else ("human", "gpt")
    turns: list[dict[str, Any]] = []
    for asked, reply, fact in talk:
        turns.append({role: speakers[0], content: asked})
        turns.append({role: speakers[1], content: reply, **_wanted(fact)})
    return {"messages" if kind == "messages" else "conversations": turns}


def _small(draw: random.Random) -> Exchange:
    said, reply = draw.choice(SMALL)
    return said.format(draw.choice(TOPICS)), reply, None


def _wanted(fact: str | None) -> dict[str, list[str]]:
    """The fact that a right reply names, and the others of its kind, which it does not name."""
    if fact is None:
        return {}
    values = next(values for values in FACTS.values() if fact in values)
    return {"expect": [fact], "reject": [value for value in values if value != fact]}
