"""The worth of replies: their form, the verifiers' scores, and replies that would run as programs."""

from pathlib import Path

import pytest

from cortex.domains.example_columns import read_rows
from cortex.domains.gym.faulty_answers import misled
from cortex.domains.gym.refused_tasks import EVALUATED
from cortex.domains.gym.replies import write_reply
from cortex.domains.question import Example, Message
from cortex.errors import CortexError
from tests.domains.gym.asking import first_question, gym, rows

SUM = {"chain_sum": {"config": {"max_terms": 2, "max_digits": 2}}}


@pytest.mark.parametrize(
    ("reply", "right", "valid"),
    [
        ("<think>so</think><answer>{}</answer>", 1.0, True),
        ("so</think>\n\n<answer>\n{}\n</answer>", 1.0, True),
        ("<think>so</think><answer>{}.0</answer>", 1.0, True),
        ("<think>so</think><answer>it is {}</answer>", 0.0, True),
        ("<think></think><answer>{}</answer>", 0.0, False),
        ("<answer>{}</answer>", 0.0, False),
        ("<think>so</think><answer>{}</answer><answer>7</answer>", 0.0, False),
        ("<think>so</think><answer>{}</answer> I think", 0.0, False),
        ("<think><answer>{}</answer></think>", 0.0, False),
        ("<think>so</think>{}", 0.0, False),
    ],
)
def test_a_reply_is_right_only_with_full_marks_and_in_form(reply: str, right: float, valid: bool) -> None:
    domain = gym(SUM)
    example = next(read_rows(rows(domain)))
    graded = domain.grade(example, reply.format(example.truth))
    assert (1 - graded.loss, graded.valid, graded.parts["answer"]) == (right, valid, right)


def test_partial_credit_is_counted_only_where_it_is_asked_for() -> None:
    words = {"spell_backward": {"config": {"min_word_len": 5}}}
    example = next(read_rows(rows(gym(words))))
    reply = write_reply(misled(str(example.truth)), "full")
    exact, partial = gym(words).grade(example, reply), gym(words, credit="partial").grade(example, reply)
    assert exact.numbers == partial.numbers and 0 < exact.numbers["verifier"] < 1
    assert exact.loss == 1
    assert 1 - partial.loss == partial.parts["answer"] == partial.numbers["verifier"]


def test_a_floor_of_the_verifier_earns_nothing() -> None:
    domain, example = first_question("countdown")
    graded = domain.grade(example, write_reply("1 + 1", "full"))
    assert 0 < graded.numbers["verifier"] < 0.1
    assert graded.loss == 1


def test_an_answer_of_another_generator_is_no_example_of_this_one() -> None:
    example = next(read_rows(rows(gym(SUM))))
    other = gym({"chain_sum": {"config": {"min_digits": 3, "max_digits": 3}}})
    with pytest.raises(CortexError, match=r"made with another config of domain\.tasks\.chain_sum"):
        other.grade(example, write_reply("7", "full"))
    with pytest.raises(CortexError, match=r"id 'seven' is not TASK/LEVEL/SEED/NUMBER"):
        other.grade(Example("seven", (Message("user", "?"),), "7"), write_reply("7", "full"))


@pytest.mark.parametrize("task", sorted(EVALUATED))
def test_no_verifier_runs_a_reply_as_a_program(task: str, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    spelled = "+".join(f"chr({ord(letter)})" for letter in f"open('{mark}', 'w')")
    domain, example = first_question(task)
    assert domain.grade(example, write_reply(str(example.truth), "full")).loss == 0
    for program in (
        f"open('{mark}', 'w')",
        f"__import__('pathlib').Path('{mark}').touch()",
        f"[c for c in ().__class__.__base__.__subclasses__() if open('{mark}', 'w')]",
        "9**9**9**9",
        "2**(9999999999)",
        "exit()",
        f"exec({spelled})",
        f"x + eval({spelled})",
        "input()",
        "breakpoint()",
    ):
        assert domain.grade(example, write_reply(program, "full")).loss == 1, program
    assert not mark.exists()
