"""The system prompts of a profile's teacher, one for each domain, and the test questions it answers with them."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from cortex.domains.dataset import read_split, read_training
from cortex.domains.example_columns import read_rows
from cortex.domains.label_finding import Finding
from cortex.domains.question import Conversation, Example, Question
from cortex.profiles.profile import Profile
from cortex.teaching.labels import ACCEPTED, read_labels
from cortex.teaching.prompt_guard import PromptGuard


class TeacherPrompts:
    """The prompts of a profile; without `teacher.prompt` there is none, and every question is sent as it is."""

    def __init__(self, profile: Profile) -> None:
        self._domain, section = profile.domain, profile.teacher.prompt
        self.guards: dict[str, PromptGuard] = {}
        """The guard of each domain's prompt, by the domain's name."""
        for part in self._domain.parts() if section else ():
            prompt = profile.prompt_of(part)
            assert section and prompt
            self.guards[part] = PromptGuard(prompt, section.quoted_words)

    def sent(self, part: str, messages: Conversation) -> Conversation:
        """A domain's conversation as the teacher gets it."""
        return self.guards[part].prefix(messages) if self.guards else messages

    def finding(self, question: Question, answer: str) -> Finding | None:
        """The rejection of an answer that quotes the prompt; None for any other."""
        return self._guard(question).finding(question, answer) if self.guards else None

    def check_question(self, question: Question, where: str) -> None:
        """As `PromptGuard.check_question`; for questions whose ids name their domain."""
        if self.guards:
            self._guard(question).check_question(question, where)

    def check_test_questions(self, part: str, questions: Iterable[Question]) -> None:
        """As `PromptGuard.check_question`, for one domain's questions with its own ids."""
        for question in questions if self.guards else ():
            self.guards[part].check_question(question, "evaluate")

    def check_text(self, question: Question, answer: str, where: str) -> None:
        """As `PromptGuard.check_text`; for questions whose ids name their domain."""
        if self.guards:
            self._guard(question).check_text(question, answer, where)

    def digests(self) -> dict[str, str]:
        """The SHA-256 of each domain's prompt."""
        return {part: guard.digest for part, guard in self.guards.items()}

    def _guard(self, question: Question) -> PromptGuard:
        return self.guards[self._domain.part_of(question.id)]


def prompt_input(stage: str, profile: Profile) -> dict[str, str]:
    """The digests of the prompts that `label` sends, as inputs of its manifest; empty for other stages."""
    if stage != "label":
        return {}
    return {f"prompt of {part}": digest for part, digest in TeacherPrompts(profile).digests().items()}


def check_labels(profile: Profile, labels: Path) -> None:
    """Refuse labels to train on that hold the teacher's prompt.

    Raises:
        DataError: an example does; the message names it.
    """
    prompts = TeacherPrompts(profile)
    for name, (*asked, answer) in read_labels(labels / ACCEPTED).items() if prompts.guards else ():
        prompts.check_text(Question(name, tuple(asked)), answer.content, f"sft: {labels / ACCEPTED}")


def taught_prompts(profile: Profile, data: Path) -> dict[str, Conversation]:
    """Every labelled training prompt of a dataset as the teacher gets it, by example id."""
    prompts, domain = TeacherPrompts(profile), profile.domain
    rows = read_rows(read_training(data, profile.teacher.examples))
    return {row.id: prompts.sent(domain.part_of(row.id), row.messages) for row in rows}


def held_out(profile: Profile, data: Path) -> dict[str, list[Example]]:
    """The test questions that the teacher answers, by domain, with the domain's own ids.

    They are spread evenly over those that the evaluation asks.
    """
    count = (profile.teacher.prompt or profile.teacher).test_examples
    if not count:
        return {}
    found: dict[str, list[Example]] = {}
    for part in profile.domain.parts():
        asked = read_split(data, "test", profile.evaluate.examples, partial(profile.domain.rows_of, part))
        found[part] = list(read_rows(asked[held_out_places(len(asked), count)]))
    return found


def held_out_places(total: int, count: int) -> list[int]:
    """Indexes of at most `count` of `total` rows, evenly spaced."""
    count = min(count, total)
    return [index * total // count for index in range(count)]


def held_out_prompts(profile: Profile, asked: Mapping[str, list[Example]]) -> dict[str, Conversation]:
    """The prompts of `held_out` as the teacher gets them, by names that no training example has."""
    prompts = TeacherPrompts(profile)
    return {
        held_out_name(part, example.id): prompts.sent(part, example.messages)
        for part, examples in asked.items()
        for example in examples
    }


def held_out_name(part: str, example: str) -> str:
    """The name of a held-out request in the journal."""
    return f"held out/{part}/{example}"
