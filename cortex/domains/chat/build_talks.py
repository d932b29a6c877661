"""The build of a chat dataset: read, check, remove copies, score and filter, and divide into splits."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cortex.domains.chat.chat_config import ConversationFiles, ConversationSource, TalkFilter
from cortex.domains.chat.conversation_files import (
    Problem,
    ReadFile,
    Talk,
    list_conversation_files,
    read_conversation_file,
)
from cortex.domains.chat.generated_talks import read_generated
from cortex.domains.chat.near_copies import remove_copies
from cortex.domains.chat.talk_examples import Judged, talks_frame
from cortex.domains.chat.talk_scores import choose_talks
from cortex.domains.domain import Built
from cortex.errors import DataError

SHOWN = 5
"""Faulty records that the account names."""


@dataclass(frozen=True)
class BuildRules:
    """The keys of a chat section that decide its examples, under their names there."""

    source: ConversationSource
    problems: Literal["refuse", "drop"]
    max_words: int
    similar: float
    banned: tuple[str, ...]
    filter: TalkFilter
    judged: Judged


def build_talks(chat: BuildRules, seed: int) -> Built:
    """The examples of a chat section.

    Raises:
        DataError: a file cannot be read or has no known format; a record is faulty and `problems` is `refuse`; or no
            conversation is left.
    """
    files = _read(chat, seed)
    problems = [problem for file in files for problem in file.problems]
    if problems and chat.problems == "refuse":
        raise DataError(
            f"{problems[0]} ({len(problems):,} faulty records in all): correct them, or set domain.problems to drop"
        )
    talks = [talk for file in files for talk in file.talks]
    _some_left(talks, f"all {len(problems):,} records are faulty, such as {problems[0] if problems else 'none'}")
    distinct = remove_copies(talks, chat.similar)
    chosen = choose_talks(distinct.talks, chat.filter, chat.banned)
    _some_left([each.talk for each in chosen.talks], "domain.filter drops every conversation: lower its bounds")
    account: dict[str, Any] = {
        "read": len(talks) + len(problems),
        "faulty": _count(problems),
        "copies": {"exact": distinct.exact, "near": distinct.near, "similar": chat.similar},
        **chosen.account,
    }
    listed = [
        {"name": file.name, "format": file.format, "sha256": file.sha256, "conversations": len(file.talks)}
        for file in files
    ]
    generated = not isinstance(chat.source, ConversationFiles)
    drawn = {"seed": seed, **chat.source.model_dump(mode="json", exclude={"kind"})} if generated else {}
    return Built(
        talks_frame(chosen.talks, chat.judged),
        {"name": chat.source.kind, **drawn, "files": listed},
        simulated=generated,
        summary=f"{len(chosen.talks):,} conversations of {len(files)} files",
        further={"conversations": account},
    )


def _read(chat: BuildRules, seed: int) -> list[ReadFile]:
    source = chat.source
    if isinstance(source, ConversationFiles):
        return [read_conversation_file(path, chat.max_words) for path in list_conversation_files(source.paths)]
    return read_generated(source, seed, chat.max_words)


def _some_left(talks: Sequence[Talk], reason: str) -> None:
    if not talks:
        raise DataError(f"no conversation is left to learn from: {reason}")


def _count(problems: Sequence[Problem]) -> dict[str, Any]:
    kinds = dict(sorted(Counter(problem.kind for problem in problems).items()))
    return {**kinds, "first": [str(problem) for problem in problems[:SHOWN]]} if problems else {}
