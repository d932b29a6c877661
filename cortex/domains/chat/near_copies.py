"""Copies among conversations, exact and near, found by MinHash and locality-sensitive hashing, then compared exactly.

Source: Broder 1997, "On the resemblance and containment of documents"; Leskovec, Rajaraman and Ullman, "Mining of
Massive Datasets", ch. 3.
"""

import hashlib
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from datasketch import MinHash, MinHashLSH

from cortex.domains.chat.conversation_files import Talk

SHINGLE = 3
"""Words of a sequence."""
HASHES = 128
WIDER = 0.8
"""Candidates are looked for from this part of the least similarity on, since a missed one is never seen, and a false
one only costs a comparison. At 0.8, 25 bands of 5 hashes miss a pair that is just as alike once in 20,000."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Distinct:
    """Conversations without copies."""

    talks: list[Talk]
    exact: int
    """Conversations that were removed as copies of an earlier one, but for case, signs and spaces."""
    near: int
    """Conversations that were removed because an earlier one shares so many sequences of words."""


def remove_copies(talks: Sequence[Talk], similar: float) -> Distinct:
    """The first of each group of copies.

    Two conversations are near copies where the share of three-word sequences that both have, of those that either has
    (Jaccard), is at least `similar`. A system message does not count: many conversations share one.
    """
    seen: set[tuple[str, ...]] = set()
    index = MinHashLSH(threshold=WIDER * similar, num_perm=HASHES)
    sequences: dict[Hashable, frozenset[int]] = {}
    kept: list[Talk] = []
    near = 0
    for place, talk in enumerate(talks):
        words = tuple(_WORD.findall(" ".join(text for pair in talk.replies for text in pair).casefold()))
        if words in seen:
            continue
        seen.add(words)
        own = _sequences(words)
        sketch = _sketch(own)
        alike = (sequences[other] for other in index.query(sketch))
        if any(len(own & other) >= similar * len(own | other) for other in alike):
            near += 1
            continue
        sequences[place] = own
        index.insert(place, sketch, check_duplication=False)
        kept.append(talk)
    return Distinct(kept, len(talks) - len(kept) - near, near)


def _sequences(words: Sequence[str]) -> frozenset[int]:
    pieces = {" ".join(words[at : at + SHINGLE]) for at in range(max(1, len(words) - SHINGLE + 1))}
    return frozenset(int.from_bytes(hashlib.blake2b(piece.encode(), digest_size=4).digest()) for piece in pieces)


def _sketch(sequences: frozenset[int]) -> MinHash:
    sketch = MinHash(num_perm=HASHES, hashfunc=int, scheme="affine32")
    sketch.update_batch(sorted(sequences))
    return sketch
