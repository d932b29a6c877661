"""The grade of a reply in a conversation, by rules that know words and not meaning."""

import re
from collections import Counter
from collections.abc import Sequence

from cortex.domains.chat.talk_examples import Wanted
from cortex.domains.chat.talk_scores import banned_pattern
from cortex.domains.dataset_score import score_answer
from cortex.domains.disguise import disguise
from cortex.domains.question import Example
from cortex.evaluation.graded import Graded

COPIED = 3
"""Words of a sequence by which copying of the user's turn is told."""
MUCH_COPIED = 0.5
"""Share of a reply's sequences that come from the user's turn, beyond the share of the data's own reply, from which on
the reply is worth nothing."""
LONGEST = (3, 20)
"""A reply that is to name something is worth nothing if it has more than 3 times the words of the data's reply, and 20
more: it may list all there is."""

_WORD = re.compile(r"\w+(?:['’]\w+)?")


def grade_reply(example: Example, reply: str, banned: Sequence[str]) -> Graded:
    """Grade a reply.

    Where the data says what a right reply has, it is right or wrong; elsewhere its worth is the share of words in
    common with the data's own reply (F1 of their words). Replies with banned words are worth nothing.
    """
    wanted = Wanted.of(example)
    pattern = banned_pattern(banned)
    rude = bool(pattern and pattern.search(reply))
    words = words_of(reply)
    common = overlap(words, words_of(wanted.reply))
    names = float(bool(wanted.expect) and _names(wanted, reply, words))
    readable = bool(words) and (not disguise(reply) or bool(disguise(wanted.reply)))
    worth = names if wanted.expect else common
    if rude or not readable or _copies(example.text, words, wanted.reply):
        worth = 0.0
    score = score_answer(example.text, reply)
    numbers = {
        "overlap": common,
        "asked": float(bool(wanted.expect)),
        "right": worth if wanted.expect else 0.0,
        "banned": float(rude),
        "quality": score.quality,
        "bias": score.bias,
        "reasoning": score.reasoning,
    }
    # A reply that cannot be read counts as the baseline's; one with a banned word counts as itself, hidden or not.
    return Graded(1 - worth, readable or rude, {"reply": worth, "banned": float(rude)}, numbers)


def words_of(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def overlap(words: Sequence[str], reference: Sequence[str]) -> float:
    """The harmonic mean of the shares of words that two texts have in common, each word as often as it occurs (F1)."""
    common = sum((Counter(words) & Counter(reference)).values())
    return 2 * common / (len(words) + len(reference)) if common else 0.0


def _names(wanted: Wanted, reply: str, words: Sequence[str]) -> bool:
    times, more = LONGEST
    if len(words) > times * len(words_of(wanted.reply)) + more:
        return False
    return all(_has(reply, phrase) for phrase in wanted.expect) and not any(
        _has(reply, phrase) for phrase in wanted.reject
    )


def _has(reply: str, phrase: str) -> bool:
    said = banned_pattern([phrase])
    return bool(said and said.search(reply))


def _copies(asked: str, words: Sequence[str], reference: str) -> bool:
    """True for a reply that mostly repeats the user's turn where the data's own does not."""
    source = set(_runs(words_of(asked)))
    return _share(words, source) - _share(words_of(reference), source) >= MUCH_COPIED


def _share(words: Sequence[str], source: set[tuple[str, ...]]) -> float:
    runs = _runs(words)
    return sum(run in source for run in runs) / len(runs) if runs else 0.0


def _runs(words: Sequence[str]) -> list[tuple[str, ...]]:
    if len(words) < COPIED:
        return [tuple(words)] if words else []
    return [tuple(words[at : at + COPIED]) for at in range(len(words) - COPIED + 1)]
