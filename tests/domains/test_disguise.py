"""Replies that read otherwise than they look, and conclusions that contradict the answer."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.domains.conclusions import contradicts, last_sentence
from cortex.domains.disguise import disguise
from tests.domains.gym.asking import first_question


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a\u200bb", "a hidden character, U+200B"),
        ("a\u200db", "a hidden character, U+200D"),
        ("\ufeffa", "a hidden character, U+FEFF"),
        ("a\u00adb", "a hidden character, U+00AD"),
        ("\u202eab", "a hidden character, U+202E"),
        ("a\U000e0061", "a hidden character, U+E0061"),
        ("a\u3164b", "a hidden character, U+3164"),
        ("a\ufe0f", "a hidden character, U+FE0F"),
        ("a\x00b", "a hidden character, U+0000"),
        ("a <!-- b -->", "a comment"),
        ("pr\u0456ce", "only look alike"),
        ("\uff41bc", "only look alike"),
        ("Pri\u03bfr", "only look alike"),
        ("<Think>", "a tag in disguise"),
        ("< answer >", "a tag in disguise"),
        ("<answer id=1>", "a tag in disguise"),
        ("\uff1canswer\uff1e", "a tag in disguise"),
        ("</ think >", "a tag in disguise"),
    ],
)
def test_a_disguise_is_named(text: str, reason: str) -> None:
    assert reason in (disguise(f"before {text} after") or disguise(text) or "nothing")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<think>plain words\n\twith 1 < 2, x > y and <b>bold</b></think>\r\n<answer>7</answer>",
        "na\u00efve caf\u00e9, \u0394x = \u03c3(y), 5 \u00b5m, x\u00b2",
        "\u2264 \u2260 \u2192 \u201cquoted\u201d \u2013 \u2014 5\u00a0%",
        "\u0446\u0435\u043d\u0430 BTC \u0440\u0430\u0441\u0442\u0451\u0442",
        "\u4ef7\u683c\u4e0a\u6da8\uff0c\u6982\u7387 0.6",
        "\u0645\u06cc\u200c\u0631\u0648\u062f",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u26a0\ufe0f 1\ufe0f\u20e3",
        "an answer: think <thinking>",
    ],
)
def test_what_languages_and_mathematics_need_is_no_disguise(text: str) -> None:
    assert disguise(text) is None


@given(st.text())
def test_any_text_is_judged_and_plain_ascii_hides_nothing(text: str) -> None:
    found = disguise(text)
    plain = "".join(letter for letter in text if letter.isascii() and letter.isprintable() and letter not in "<>")
    assert disguise(plain) is None
    assert found is None or len(found) < 100


@pytest.mark.parametrize(
    "text", ["<" + " " * 10**6, "< " * 500_000, "\ufdfa" * 100_000, "<think " * 150_000, "a\u0430" * 10**5]
)
def test_long_texts_are_judged_in_no_time(text: str) -> None:
    began = time.process_time()
    disguise(text)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("reasoning", "answer", "contradicting"),
    [
        ("2 and 5, so the answer is 7.", "8", True),
        ("The answer is 7", "7.0", False),
        ("Answer: -7.5", "7.5", True),
        ("the answer = no", "Yes", True),
        ("the answer is yes.", "Yes", False),
        ("so \\boxed{12}.", "13", True),
        ("so $\\boxed{12}$", "12", False),
        ("The answer is 7. But 3 was forgotten, so it is 10.", "10", False),
        ("the answer is 7 at least", "8", False),
        ("the answer is seven", "8", False),
        ("the answer is 7", "x = 8", False),
        ("\\boxed{\\frac{1}{2}}", "0.5", False),
        ("", "7", False),
    ],
)
def test_only_a_plain_statement_at_the_end_contradicts_an_answer(
    reasoning: str, answer: str, contradicting: bool
) -> None:
    assert contradicts(reasoning, answer) == contradicting


@pytest.mark.parametrize(
    ("reasoning", "last"),
    [("a. b", "b"), ("a\nb.", "b."), ("1.5 is it", "1.5 is it"), ("", ""), ("a; b! ", "b!"), ("x" * 900, "x" * 500)],
)
def test_the_last_sentence_ends_a_reasoning(reasoning: str, last: str) -> None:
    assert last_sentence(reasoning) == last


@pytest.mark.parametrize(
    "reply",
    [
        "<think>So the answer is {wrong}.</think><answer>{truth}</answer>",
        "<think>so\u200b</think><answer>{truth}</answer>",
        "<think>s\u043e</think><answer>{truth}</answer>",
        "<think>so <Answer>{wrong}</Answer></think><answer>{truth}</answer>",
        "<think>so</think><answer>{truth}<!-- {wrong} --></answer>",
    ],
)
def test_a_right_answer_that_hides_or_contradicts_something_is_not_read(reply: str) -> None:
    domain, example = first_question("chain_sum")
    truth = int(str(example.truth))
    graded = domain.grade(example, reply.format(truth=truth, wrong=truth + 1))
    assert not graded.valid and domain.reward(graded) == 0
    assert domain.grade(example, f"<think>So the answer is {truth}.</think><answer>{truth}</answer>").loss == 0
