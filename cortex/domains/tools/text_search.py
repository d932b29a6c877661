"""Search over a corpus of short texts by BM25, as SQLite's FTS5 computes it.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009.
"""

import re
import sqlite3
from collections.abc import Sequence

from cortex.domains.tools.tool_calls import CallError

MOST_WORDS = 12
"""Words of a query that count."""

_WORD = re.compile(r"\w+")


class TextSearch:
    """Texts that can be searched by words."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._index = sqlite3.connect(":memory:", check_same_thread=False)
        self._index.execute("CREATE VIRTUAL TABLE texts USING fts5(text)")
        self._index.executemany("INSERT INTO texts VALUES (?)", [(text,) for text in texts])

    def find(self, query: str, most: int) -> list[str]:
        """The texts that fit best, best first, at most `most`; of equal ones the first in the corpus.

        Raises:
            CallError: the query has no word, or no text has any of its words.
        """
        words = list(dict.fromkeys(word.lower() for word in _WORD.findall(query)))[:MOST_WORDS]
        if not words:
            raise CallError("a query needs words")
        # Quoted words are no operators of FTS5's own language.
        asked = " OR ".join(f'"{word}"' for word in words)
        found = self._index.execute(
            "SELECT text FROM texts WHERE texts MATCH ? ORDER BY bm25(texts), rowid LIMIT ?", (asked, most)
        ).fetchall()
        if not found:
            raise CallError("nothing is found")
        return [text for (text,) in found]
