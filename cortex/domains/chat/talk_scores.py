"""Scores of conversations by plain rules, and the choice of those to keep."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import Any

import numpy as np

from cortex.domains.chat.chat_config import TalkFilter
from cortex.domains.chat.conversation_files import Talk
from cortex.domains.dataset_score import DatasetScore, score_answer

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of the scores in `dataset.json`."""
STEP = 0.125
"""Width of a bar of the scores' histogram."""


@dataclass(frozen=True)
class ScoredTalk:
    talk: Talk
    score: DatasetScore
    """The mean over the conversation's replies."""


@dataclass(frozen=True)
class Chosen:
    """The conversations that a filter keeps, in their order, and its account."""

    talks: list[ScoredTalk]
    account: dict[str, Any]


def banned_pattern(banned: Sequence[str]) -> re.Pattern[str] | None:
    """A pattern of whole words and phrases, in any case; None without any."""
    return _pattern(tuple(banned))


@lru_cache(maxsize=4096)
def _pattern(banned: tuple[str, ...]) -> re.Pattern[str] | None:
    words = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in sorted(banned, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if words else None


def score_talk(talk: Talk) -> ScoredTalk:
    """Score each reply beside the user's turn before it."""
    scores = [score_answer(asked, reply) for asked, reply in talk.replies]
    parts = ([getattr(score, name) for score in scores] for name in ("quality", "bias", "reasoning"))
    return ScoredTalk(talk, DatasetScore(*(fmean(part) for part in parts)))


def choose_talks(talks: Sequence[Talk], rules: TalkFilter, banned: Sequence[str]) -> Chosen:
    """Drop conversations with banned words in a reply, then those with too low a score."""
    pattern = banned_pattern(banned)
    found = Counter[str]()
    scored: list[ScoredTalk] = []
    dropped = 0
    for talk in talks:
        words = {word.casefold() for _, reply in talk.replies for word in (pattern.findall(reply) if pattern else ())}
        found.update(words)
        if words and rules.banned:
            dropped += 1
        else:
            scored.append(score_talk(talk))
    least = _least(scored, rules)
    kept = [each for each in scored if least is None or each.score.total >= least]
    account: dict[str, Any] = {
        "scores": _distribution(scored),
        "least_score": least,
        "kept": len(kept),
        "dropped": {"banned": dropped, "score": len(scored) - len(kept)},
    }
    if banned:
        account["banned"] = dict(sorted(found.items()))
    return Chosen(kept, account)


def _least(scored: Sequence[ScoredTalk], rules: TalkFilter) -> float | None:
    """The score from which on conversations are kept; those that tie with the last of `top_share` are kept, too."""
    bounds = [] if rules.min_score is None else [rules.min_score]
    if rules.top_share is not None and scored:
        ranked = sorted((each.score.total for each in scored), reverse=True)
        bounds.append(ranked[max(1, round(rules.top_share * len(ranked))) - 1])
    return max(bounds, default=None)


def _distribution(scored: Sequence[ScoredTalk]) -> dict[str, Any]:
    """Quantiles of the total and of its parts, and a histogram of the total, before any is dropped for it."""
    if not scored:
        return {}
    columns = {
        name: np.array([getattr(each.score, name) for each in scored])
        for name in ("total", "quality", "bias", "reasoning")
    }
    edges = np.arange(-0.5, 1.75 + STEP / 2, STEP)
    counts, _ = np.histogram(columns["total"], edges)
    quantiles = {
        name: {f"{share:.0%}": round(float(np.quantile(values, share)), 4) for share in SHARES}
        for name, values in columns.items()
    }
    histogram = {f"{low:g}": int(count) for low, count in zip(edges[:-1], counts, strict=True) if count}
    return {**quantiles, "histogram": histogram}
