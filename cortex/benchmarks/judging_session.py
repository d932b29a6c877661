"""Asking a judge model: a trial before the rest is paid for, what it costs, and the limits of money."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from cortex.benchmarks.rubric import Rubric
from cortex.domains.question import Conversation
from cortex.settings import Settings
from cortex.teaching.purse import Purse
from cortex.teaching.teacher import ask

TRIAL = 8
"""Questions that are judged before more are paid for, as of a teacher's first answers."""


@dataclass(frozen=True)
class Judged:
    """A judge's replies by the prompt's name, and their cost."""

    replies: Mapping[str, str]
    """Empty where there was none."""
    requests: int
    tokens: int
    dollars: Decimal | None
    """None where the rubric names no price."""


def ask_judge(
    rubric: Rubric,
    prompts: Mapping[str, Conversation],
    first: Sequence[str],
    settings: Settings,
    on_trial: Callable[[Mapping[str, str]], None],
    on_settled: Callable[[int, int], None],
) -> Judged:
    """The judge's replies to all prompts. Those named `first` are asked first, and `on_trial` may raise on them.

    Replies are kept in the kit's home: the same comparison, asked again, pays for none of them twice.

    Raises:
        StageError: the judge is down, or refuses.
        BudgetError: the next reply may cost more than the rubric allows.
        Exception: as `on_trial`.
    """
    endpoint = rubric.endpoint(settings)
    limit = rubric.judge.dollars
    purse = Purse(None if limit is None else Decimal(str(limit)))
    journal = _journal(rubric, prompts, settings)
    asked = {name: prompts[name] for name in first}
    settled = ask(endpoint, asked, journal, lambda done, total: None, purse=purse)
    on_trial({name: one.text for name, one in settled.items()})
    settled = ask(endpoint, prompts, journal, on_settled, purse=purse)
    return Judged(
        {name: one.text for name, one in settled.items()},
        len(prompts),
        purse.tokens,
        purse.dollars if rubric.judge.price else None,
    )


def _journal(rubric: Rubric, prompts: Mapping[str, Conversation], settings: Settings) -> Path:
    """The file of replies of one judge to one set of prompts. Prices, limits and pace change no reply."""
    judge = rubric.judge
    asked = [judge.url, judge.model, judge.temperature, judge.max_tokens, dict(prompts)]
    folder = settings.home / "judgements"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]}.jsonl"
