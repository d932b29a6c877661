"""Answers that are nearly the same as an earlier one, found by sketches of their word sequences."""

import hashlib
from collections import defaultdict

SHINGLE = 4
"""Words of a sequence."""
SKETCH = 24
"""Hashes of a sketch: the smallest of all sequences', so that like texts have like sketches.

Source: A. Broder, "On the resemblance and containment of documents", 1997. Two texts that share 80% of their sequences
have no hash in common once in 10^15 pairs.
"""


class NearDuplicates:
    """Texts so far. `nearest` compares a text with those that share a hash of its sketch, and then adds it."""

    def __init__(self) -> None:
        self._sequences: dict[str, frozenset[int]] = {}
        self._by_hash: defaultdict[int, list[str]] = defaultdict(list)

    def nearest(self, name: str, text: str) -> tuple[str, float] | None:
        """The most similar earlier text and the share of sequences that both have (Jaccard); None if none is alike."""
        own = _sequences(text)
        sketch = sorted(own)[:SKETCH]
        candidates = {other for value in sketch for other in self._by_hash[value]}
        found = max(
            ((len(own & self._sequences[other]) / len(own | self._sequences[other]), other) for other in candidates),
            default=None,
        )
        self._sequences[name] = own
        for value in sketch:
            self._by_hash[value].append(name)
        return (found[1], found[0]) if found else None


def _sequences(text: str) -> frozenset[int]:
    words = text.lower().split()
    pieces = [" ".join(words[at : at + SHINGLE]) for at in range(max(1, len(words) - SHINGLE + 1))]
    return frozenset(int.from_bytes(hashlib.blake2b(piece.encode(), digest_size=8).digest()) for piece in pieces)
