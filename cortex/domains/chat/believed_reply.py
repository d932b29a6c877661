"""The reply of someone who states a belief about what the data's reply is."""

import json
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

from cortex.domains.chat.reply_grading import grade_reply
from cortex.domains.chat.talk_examples import Wanted
from cortex.domains.question import Example, Message

CANDIDATES = 24
"""Replies that are compared: those believed most."""


def believed_reply(believed: Sequence[tuple[Example, float]], banned: Sequence[str]) -> str:
    """The reply that is expected to lose least, of the likeliest ones of the examples that may be asked."""
    return _likeliest(
        tuple((example.text, json.dumps(example.truth), share) for example, share in believed if share), tuple(banned)
    )


@lru_cache(maxsize=64)
def _likeliest(believed: tuple[tuple[str, str, float], ...], banned: tuple[str, ...]) -> str:
    examples = [(Example("", (Message("user", text),), json.loads(truth)), share) for text, truth, share in believed]
    shares: dict[str, float] = defaultdict(float)
    for example, share in examples:
        shares[Wanted.of(example).reply] += share
    candidates = sorted(shares, key=lambda reply: (-shares[reply], reply))[:CANDIDATES]
    expected = {
        reply: sum(share * grade_reply(example, reply, banned).loss for example, share in examples)
        for reply in candidates
    }
    return min(candidates, key=lambda reply: expected[reply], default="")
