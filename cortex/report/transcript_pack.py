"""Transcripts packed for a page: as many as its size allows, the telling ones in full, compressed for its script.

The pack is JSON, gzipped, in base64: `models` (names), `questions` (id, prompt and truth of each) and `answers` (index
of the model, index of the question, loss, flags, text).
"""

import base64
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from cortex.evaluation.record import label
from cortex.text import harmless

BEST_AND_WORST = 25
"""Answers of the judged model with the lowest loss, and with the highest, that are kept in full."""

FLAGGED = 100
"""Flagged answers of the judged model that are kept in full."""

MOST_ANSWERS = 4000
"""Answers on a page at most; of more, all models' answers to evenly spread questions are taken."""

FULL = 8000
"""Characters of a text that count as all of it."""

LIMITS = (FULL, 2000, 800, 300)
"""Characters of the other texts: the first number with which the pack is small enough."""

UNREADABLE, HELD_BACK = 1, 2
"""Flags of an answer, which add up."""


@dataclass(frozen=True)
class Pack:
    data: str
    """The pack in base64."""
    answers: int
    """Answers in it."""
    of: int
    """Answers that there are."""
    limit: int
    """Characters of texts of the answers that are neither among the best nor the worst nor flagged."""

    def told(self) -> str:
        """A sentence on what is left out; empty where nothing is."""
        words: list[str] = []
        if self.answers < self.of:
            words.append(f"Of {self.of:,} answers the page holds {self.answers:,}, to evenly spread questions.")
        if self.limit < FULL:
            words.append(
                f"So that it stays small, texts beyond {self.limit:,} characters are cut, but for the best, the worst "
                "and the flagged answers."
            )
        return " ".join(words)


def telling(table: pl.DataFrame, judged: str) -> dict[str, pl.DataFrame]:
    """The judged model's answers that people look for first: best, worst and flagged ones, each in that order."""
    own = table.filter(pl.col("model") == judged)
    flagged = own.filter(~pl.col("valid") | pl.col("held_back"))
    readable = own.filter(pl.col("valid")).sort("loss", "id")
    return {
        "best": readable.head(BEST_AND_WORST),
        "worst": readable.tail(BEST_AND_WORST).reverse(),
        "flagged": flagged.sort("id").head(FLAGGED),
    }


def pack(table: pl.DataFrame, judged: str, budget: int) -> Pack:
    """Pack a table of transcripts into at most `budget` bytes of base64, as much of it as fits."""
    fitting = (each for each in _ever_smaller(table, judged) if len(each.data) <= budget)
    return next(fitting, Pack(_packed(table.head(0), set(), judged, FULL), 0, len(table), FULL))


def _ever_smaller(table: pl.DataFrame, judged: str) -> Iterator[Pack]:
    """Packs of the table, each smaller than the one before: first its texts are cut, then questions are left out."""
    kept = pl.concat(list(telling(table, judged).values()))["id"].unique(maintain_order=True)
    full, chosen = set(kept), _choose(table, kept, MOST_ANSWERS)
    for limit in LIMITS:
        yield Pack(_packed(chosen, full, judged, limit), len(chosen), len(table), limit)
    while chosen["id"].n_unique() > 1:
        chosen = _choose(chosen, kept, len(chosen) // 2)
        yield Pack(_packed(chosen, full, judged, LIMITS[-1]), len(chosen), len(table), LIMITS[-1])


def _choose(table: pl.DataFrame, kept: pl.Series, count: int) -> pl.DataFrame:
    """All models' answers to some questions, about `count` in all: those of `kept` first, then evenly spread ones."""
    if len(table) <= count:
        return table
    ids = table["id"].unique(maintain_order=True)
    wanted = max(1, count * len(ids) // len(table))
    others = ids.filter(~ids.is_in(kept.implode()))
    first = kept.head(wanted)
    left = wanted - len(first)
    spread = others.gather([at * len(others) // left for at in range(left)]) if left else others.head(0)
    return table.filter(pl.col("id").is_in(pl.concat([first, spread]).implode()))


def _packed(table: pl.DataFrame, full: set[str], judged: str, limit: int) -> str:
    models = table["model"].unique(maintain_order=True).to_list()
    questions: dict[str, list[str]] = {}
    answers: list[list[Any]] = []
    places: dict[str, int] = {}
    for name, key, loss, valid, held_back, prompt, truth, answer in table.iter_rows():
        room = FULL if key in full else limit
        if key not in questions:
            places[key] = len(questions)
            questions[key] = [_text(room, part) for part in (key, prompt, truth)]
        flags = UNREADABLE * (not valid) + HELD_BACK * held_back
        text = _text(room if name == judged else limit, answer)
        answers.append([models.index(name), places[key], round(loss, 4), flags, text])
    data = {"models": [label(name) for name in models], "questions": list(questions.values()), "answers": answers}
    raw = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return base64.b64encode(gzip.compress(raw, 9, mtime=0)).decode()


def _text(limit: int, text: str) -> str:
    return harmless(text, limit=limit, lines=True)
