"""Examples of conversations: one for each in training, one for each reply in the other splits."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self

import polars as pl

from cortex.domains.chat.conversation_files import Talk
from cortex.domains.chat.talk_scores import ScoredTalk
from cortex.domains.example_columns import SCHEMA, read_rows, split_of
from cortex.domains.question import Conversation, Example, Message

Judged = Literal["every", "last"]
"""The replies of a held-out conversation that become examples."""

SCORES = ("quality", "bias", "reasoning", "total")

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Wanted:
    """The truth of an example: the reply of the data, and what a right one says where the data tells."""

    reply: str
    expect: tuple[str, ...] = ()
    reject: tuple[str, ...] = ()

    @classmethod
    def of(cls, example: Example) -> Self:
        truth: Any = example.truth
        return cls(truth["reply"], tuple(truth.get("expect", ())), tuple(truth.get("reject", ())))

    def as_truth(self) -> dict[str, Any]:
        phrases = {"expect": list(self.expect), "reject": list(self.reject)}
        return {"reply": self.reply, **{name: value for name, value in phrases.items() if value}}


def talks_frame(talks: Iterable[ScoredTalk], judged: Judged) -> pl.DataFrame:
    """The table of examples, with each conversation's scores.

    Conversations whose users say the same are one cluster, and so in one split. A training example is a whole
    conversation: its question is all but the last reply. The order is that of the clusters' names, which is as good as
    drawn: files follow one another, and a validation takes the last examples.
    """
    ordered = sorted(talks, key=lambda each: (name_cluster(each.talk), each.talk.file, each.talk.line))
    rows = [row for each in ordered for row in _rows(each, judged)]
    scores: dict[str, pl.DataType] = {name: pl.Float64() for name in SCORES}
    return pl.DataFrame(rows, schema={**SCHEMA, **scores})


def every_reply(rows: pl.DataFrame) -> Iterator[tuple[str, str]]:
    """Each user's turn with the reply to it, of training examples."""
    for example in read_rows(rows):
        spoken = [turn.content for turn in example.messages if turn.role != "system"]
        yield from zip(spoken[::2], [*spoken[1::2], Wanted.of(example).reply], strict=True)


def name_cluster(talk: Talk) -> str:
    """A name that conversations share whose users say the same, but for case, signs and spaces."""
    words = _WORD.findall(" / ".join(asked for asked, _ in talk.replies).casefold())
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]


def as_messages(talk: Talk) -> Conversation:
    """The turns as chat templates read them."""
    return tuple(Message(turn.role, turn.content) for turn in talk.turns)  # pyright: ignore[reportArgumentType]


def _rows(each: ScoredTalk, judged: Judged) -> Iterator[dict[str, Any]]:
    talk, cluster = each.talk, name_cluster(each.talk)
    split, messages = split_of(cluster), as_messages(each.talk)
    replies = [at for at, turn in enumerate(talk.turns) if turn.role == "assistant"]
    for at in replies if split != "train" and judged == "every" else replies[-1:]:
        turn = talk.turns[at]
        yield {
            "id": f"{talk.place}:{at + 1}",
            "split": split,
            "cluster": cluster,
            "at": None,
            "messages": [message._asdict() for message in messages[:at]],
            "truth": json.dumps(Wanted(turn.content, turn.expect, turn.reject).as_truth()),
            **{name: getattr(each.score, name) for name in SCORES},
        }
