"""Replies without any thought, which a model has to beat."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from cortex.domains.question import Example
from cortex.evaluation.graded import Graded

CANDIDATES = 12
"""Most frequent training replies, of which the usual one is the best."""
TRIED = 100
"""Training turns on which it is chosen."""
AT_ONCE = 512
"""Test questions that are compared with all training ones at once."""

Grade = Callable[[Example, str], Graded]


def usual_reply(known: Sequence[tuple[str, str]], train: Sequence[Example], grade: Grade) -> str:
    """The one reply that earns most over the training examples, of the most frequent training replies."""
    counts = Counter(reply for _, reply in known)
    candidates = sorted(counts, key=lambda reply: (-counts[reply], reply))[:CANDIDATES]
    tried = train[:: max(1, len(train) // TRIED)][:TRIED]
    worth = {reply: sum(grade(example, reply).loss for example in tried) for reply in candidates}
    return min(candidates, key=lambda reply: worth[reply], default="")


def nearest_replies(known: Sequence[tuple[str, str]], asked: Sequence[str]) -> list[str]:
    """For each text the most frequent reply to the training turn that is most like it, by words (tf-idf, cosine)."""
    replies: dict[str, Counter[str]] = defaultdict(Counter)
    for text, reply in known:
        replies[text][reply] += 1
    texts = list(replies)
    vectorizer = TfidfVectorizer(token_pattern=r"\w+")
    try:
        fitted = vectorizer.fit_transform(texts)
    except ValueError:  # no text has a word
        return ["" for _ in asked]
    best = {text: min(counts, key=lambda reply: (-counts[reply], reply)) for text, counts in replies.items()}
    found: list[str] = []
    for start in range(0, len(asked), AT_ONCE):
        alike = vectorizer.transform(asked[start : start + AT_ONCE]) @ fitted.T
        found += [best[texts[at]] for at in np.asarray(alike.argmax(axis=1)).ravel()]
    return found
