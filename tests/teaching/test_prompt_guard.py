"""The guard of a teacher's prompt: what counts as the prompt in other texts, and what does not."""

import pytest

from cortex.domains.question import Message, Question
from cortex.errors import DataError
from cortex.teaching.prompt_guard import PromptGuard

GUIDE = (
    "You advise a fund. Rise is likely where flow is below minus one, and fall where it is above plus one; never "
    "mention anybody's name. End with the words that were asked for."
)
QUESTION = Question("NEAR-7", (Message("user", "NEAR 1d flow:-2 range:2.8"),))


@pytest.fixture
def guard() -> PromptGuard:
    return PromptGuard(GUIDE, 8)


def test_the_prompt_stands_before_the_question_in_one_system_message(guard: PromptGuard) -> None:
    assert guard.prefix(QUESTION.messages) == (Message("system", GUIDE), *QUESTION.messages)
    own = (Message("system", "Answer in one word."), *QUESTION.messages)
    assert guard.prefix(own) == (Message("system", f"{GUIDE}\n\nAnswer in one word."), *QUESTION.messages)


@pytest.mark.parametrize(
    ("answer", "quoted"),
    [
        (f"As I was told: {GUIDE}", True),
        ("RISE is likely, where flow\nis below: minus one!", True),
        ("rise is likely where flow is below two", False),
        ("up", False),
        ("", False),
    ],
)
def test_a_run_of_its_words_is_a_quotation(answer: str, quoted: bool, guard: PromptGuard) -> None:
    assert (guard.quote(QUESTION, answer) is not None) == quoted
    finding = guard.finding(QUESTION, answer)
    assert (finding is not None and finding.grade == "rejected") == quoted


def test_words_that_the_question_has_too_are_no_quotation(guard: PromptGuard) -> None:
    form = "End with the words that were asked for."
    asked = Question("NEAR-8", (Message("user", f"NEAR 1d flow:-2. {form}"),))
    assert guard.quote(QUESTION, form) and guard.quote(asked, form) is None
    guard.check_question(asked, "label")


def test_a_short_prompt_is_looked_for_as_a_whole() -> None:
    guard = PromptGuard("Be brief, and kind.", 20)
    assert guard.quote(QUESTION, "I am to be brief and kind") == "be brief and kind"
    assert guard.quote(QUESTION, "be brief") is None


def test_a_leak_into_training_text_names_the_example(guard: PromptGuard) -> None:
    guard.check_text(QUESTION, "flow is low, so up", "sft")
    with pytest.raises(DataError, match=r"^sft: the answer of example NEAR-7 quotes teacher\.prompt \('rise is likely"):
        guard.check_text(QUESTION, "rise is likely where flow is below minus one", "sft")
    shown = Question("NEAR-9", (Message("system", GUIDE), *QUESTION.messages))
    with pytest.raises(DataError, match=r"^grpo: the question of example NEAR-9 shows teacher\.prompt"):
        guard.check_question(shown, "grpo")
    most = Question("NEAR-10", (Message("user", GUIDE[: len(GUIDE) * 3 // 4]),))
    with pytest.raises(DataError, match="NEAR-10"):
        guard.check_question(most, "grpo")
