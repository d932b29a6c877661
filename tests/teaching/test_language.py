"""The language of answers, by the real model, which takes some seconds to load."""

import pytest

from cortex.domains.label_finding import Finding
from cortex.domains.question import Message, Question
from cortex.profiles.teacher_section import LANGUAGES
from cortex.teaching.quality.language import foreign_passages, known_languages
from cortex.teaching.quality.quality_check import QualityCheck, QualityRules

from .test_quality import GOOD

pytestmark = pytest.mark.integration


def check(answer: str) -> Finding:
    question = Question("q", (Message("user", "Will it rise?"),))
    return QualityCheck(QualityRules(language="en")).check(question, answer, Finding("accepted"))


GERMAN = (
    "<think>Der Zufluss ist -2, was darauf hindeutet, dass die Halter ihre M\u00fcnzen behalten, weil sie sie von den "
    "B\u00f6rsen nehmen. Ein Fall ist dennoch m\u00f6glich, wenn der Kurs dreht.</think><answer>0.55</answer>"
)


@pytest.mark.parametrize(
    ("text", "language", "other"),
    [
        (GOOD, "en", None),
        (GERMAN, "de", None),
        (GERMAN, "en", "de"),
        (GOOD, "fr", "en"),
        (GERMAN + '<answer>{"direction": "up", "interval_pct": [-5, 5], "return_pct": 0.4}</answer>', "de", None),
        (5 * GOOD + GERMAN, "en", "de"),
        ("flow:-2 up range:2.8 calm " * 20, "en", None),
        ("7 8 9 " * 50, "en", None),
        ("Ja.", "en", None),
        ("", "en", None),
    ],
)
def test_the_language_of_passages_is_told(text: str, language: str, other: str | None) -> None:
    found = foreign_passages(text, language)
    assert (found and found[0]) == other


def test_a_quotation_in_another_language_is_no_fault_and_half_an_answer_is() -> None:
    assert check(12 * GOOD + GERMAN).grade == "accepted"
    finding = check(GOOD + GERMAN)
    assert finding.grade == "flagged" and "most of them in de" in finding.reasons[0]


def test_a_profile_can_name_the_languages_that_are_told() -> None:
    assert {code for code in known_languages() if len(code) == 2} == LANGUAGES
