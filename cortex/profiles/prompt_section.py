"""A profile's section on the system prompt that the teacher gets and the student never sees."""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from cortex.section import Section, UserPath

LONGEST = 200_000
"""Most characters of a prompt; it is part of the resolved profile, which is at most 1 MiB."""


class TeacherPrompt(Section):
    """A system prompt for the teacher alone: the labels follow it, and training on them puts it into the weights."""

    file: UserPath | None = None
    """A file of this machine with the prompt. The resolved profile has its text, so that no other machine needs it."""
    text: str | None = Field(default=None, min_length=1, max_length=LONGEST)
    """The prompt itself. Without `file` and `text`, the domain's own prompt is sent."""
    test_examples: int = Field(default=200, ge=0)
    """Test questions that the teacher answers with the prompt, evenly over those of the evaluation, for its score
    beside the student's; 0 asks none. They count against `teacher.dollars` and `teacher.tokens`, and no training sees
    them."""
    ask_base: bool = False
    """Ask the base these questions with the prompt, too: worth it where the base is good and its context long."""
    quoted_words: int = Field(default=12, ge=5)
    """An answer that repeats so many consecutive words of the prompt, and not from its question, is rejected. A prompt
    that is shorter is looked for as a whole."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.file and self.text:
            raise ValueError("`file` and `text` both give the prompt: remove one")
        if self.ask_base and not self.test_examples:
            raise ValueError("`ask_base` asks the questions of `test_examples`, and there are none: raise them")
        return self

    def resolved(self) -> Self:
        """The section with the file's text in place of the file.

        Raises:
            ValueError: the file cannot be read, is no text, or holds too little or too much of it.
        """
        if self.file is None:
            return self
        values: dict[str, Any] = {"file": None, "text": _read(self.file)}
        return self.model_copy(update=values)


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: save the prompt as such") from error
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}: name a file with the teacher's prompt") from error
    if not 0 < len(text) <= LONGEST:
        raise ValueError(f"{path} has {len(text):,} characters: a prompt has 1 to {LONGEST:,}")
    return text
