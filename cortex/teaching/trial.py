"""The trial of a teacher: its first answers are read before more are paid for."""

import asyncio
from collections.abc import Callable

from cortex.teaching.completion import Completion
from cortex.text import harmless

Fault = Callable[[str, str], str | None]
"""Names the fault of an answer, given the example's id and the text; None for an answer that can be used."""

TRIAL = 8
"""Number of first answers that are checked before more are paid for: if none of them can be used, the stage stops. A
teacher that errs every second time fails this check by accident once in 256 runs."""


class Trial:
    """The first answers of a session. `passed` is set once one of them can be used."""

    def __init__(self, fault: Fault | None, waiting: int, *, answered_before: bool) -> None:
        self._fault = fault
        self._answers: list[tuple[str, Completion]] = []
        self.size = min(TRIAL if fault else 0, waiting)
        self.passed = asyncio.Event()
        if fault is None or (answered_before and waiting < TRIAL):
            self.passed.set()  # too few prompts are left for a trial, and the endpoint has answered before

    @property
    def examples(self) -> list[str]:
        return [example for example, _ in self._answers]

    def failed_by(self, example: str, completion: Completion) -> bool:
        """Note an answer; true if it is the trial's last one, and none can be used."""
        if self.passed.is_set() or self._fault is None:
            return False
        self._answers.append((example, completion))
        if usable(example, completion, self._fault):
            self.passed.set()
        return not self.passed.is_set() and len(self._answers) == self.size

    @property
    def silent(self) -> bool:
        """True if most first prompts got no answer at all."""
        return len(self._of("silent")) >= max(len(self._of("truncated")), len(self._of("answered")))

    def describe_silence(self) -> str:
        return f"answered none of its first {len(self._answers)} prompts: {self._of('silent')[0][1].reason}"

    def describe(self, max_tokens: int) -> tuple[str, str]:
        """The fault of answers that came, and its fix."""
        cut, broken = self._of("truncated"), self._of("answered")
        if len(cut) >= len(broken):
            return f"{len(cut)} were cut off at {max_tokens} tokens and none can be used", "raise teacher.max_tokens"
        assert self._fault
        example, first = broken[0]
        begins = harmless(first.text, limit=80)
        return (
            f"none is fit to imitate ({self._fault(example, first.text)}; one begins {begins!r})",
            "set teacher.model to one that writes its reasoning and keeps to a format",
        )

    def _of(self, kind: str) -> list[tuple[str, Completion]]:
        with_text = ("answered", "truncated")
        return [pair for pair in self._answers if (pair[1].kind if pair[1].kind in with_text else "silent") == kind]


def usable(example: str, completion: Completion, fault: Fault) -> bool:
    return completion.kind in ("answered", "truncated") and fault(example, completion.text) is None
