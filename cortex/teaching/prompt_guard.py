"""The guard of a teacher's system prompt: no text that a student is trained or judged on may hold it."""

import hashlib
import re
from collections.abc import Iterator

from cortex.domains.label_finding import Finding
from cortex.domains.question import Conversation, Message, Question
from cortex.errors import DataError
from cortex.text import harmless

SHOWN = 0.5
"""Share of the prompt's sequences of words from which on a question shows the prompt. Fewer are words in common, such
as the form of an answer, of which the question speaks, too."""

_WORD = re.compile(r"\w+")


class PromptGuard:
    """Finds a prompt in other texts by sequences of `length` words; case, signs and spaces do not count."""

    def __init__(self, prompt: str, length: int) -> None:
        self._prompt = prompt
        words = _words(prompt)
        self._length = min(length, len(words))
        self._runs = frozenset(_runs(words, self._length))

    @property
    def digest(self) -> str:
        """The SHA-256 of the prompt."""
        return hashlib.sha256(self._prompt.encode()).hexdigest()

    def prefix(self, messages: Conversation) -> Conversation:
        """A conversation behind the prompt. Many chat templates allow one system message: the question's own follows in
        the same one."""
        first, *rest = messages
        if first.role != "system":
            return (Message("system", self._prompt), *messages)
        return (Message("system", f"{self._prompt}\n\n{first.content}"), *rest)

    def quote(self, question: Question, answer: str) -> str | None:
        """The first words of the prompt that an answer repeats, and that do not come from its question; else None."""
        if not self._runs:
            return None
        asked = {run for message in question.messages for run in _runs(_words(message.content), self._length)}
        found = (run for run in _runs(_words(answer), self._length) if run in self._runs and run not in asked)
        run = next(found, None)
        return " ".join(run) if run else None

    def finding(self, question: Question, answer: str) -> Finding | None:
        """The rejection of an answer that quotes the prompt; None for any other."""
        words = self.quote(question, answer)
        if words is None:
            return None
        return Finding("rejected", (harmless(f"prompt: quotes the teacher's prompt: {words}", limit=200),))

    def check_question(self, question: Question, where: str) -> None:
        """Refuse a question that shows the prompt: the student would read what it is to know by heart.

        Raises:
            DataError: it does; the message begins with `where` and names the example.
        """
        asked = {run for message in question.messages for run in _runs(_words(message.content), self._length)}
        if self._runs and len(asked & self._runs) >= SHOWN * len(self._runs):
            raise DataError(
                f"{where}: the question of example {question.id} shows teacher.prompt, which the student must not see: "
                "take it out of the domain's questions, or remove teacher.prompt"
            )

    def check_text(self, question: Question, answer: str, where: str) -> None:
        """Refuse an example to train on whose question or answer holds the prompt.

        Raises:
            DataError: one does; the message begins with `where` and names the example.
        """
        self.check_question(question, where)
        if words := self.quote(question, answer):
            raise DataError(
                f"{where}: the answer of example {question.id} quotes teacher.prompt ({harmless(words, limit=120)!r}), "
                "which must not be trained on: remove the example, or raise teacher.prompt.quoted_words"
            )


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _runs(words: list[str], length: int) -> Iterator[tuple[str, ...]]:
    """All sequences of `length` words; none where a text has fewer."""
    return zip(*(words[start:] for start in range(length)), strict=False)
