import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.errors import DataError
from cortex.evaluation.graded import Graded
from cortex.evaluation.grades import Grades, saved
from cortex.evaluation.measure import REFERENCE_LOSS, Measure, Scale

LOSS = Measure("loss", "loss")
SKILL = Scale("loss", "skill", "puzzles", reference="guess").skill_measure
UNREAD = Graded(1.0, valid=False)

losses = st.floats(0, 1)


def read(loss: float, **numbers: float) -> Graded:
    return Graded(loss, valid=True, numbers=numbers)


def test_an_invalid_reply_counts_as_the_reference_s_on_the_same_example() -> None:
    grades = Grades.of([read(0.1, moves=3), UNREAD], [read(0.4, moves=5), read(0.6, moves=7)])
    assert grades.loss.tolist() == [0.1, 0.6]
    assert grades.valid.tolist() == [True, False]
    assert grades.values("moves").tolist() == [3, 7]
    assert grades.values("loss").tolist() == [0.1, 0.6]
    assert grades.values(REFERENCE_LOSS).tolist() == [0.4, 0.6]
    assert len(grades) == 2


@given(reference=st.lists(losses, min_size=1, max_size=20))
def test_a_model_that_only_refuses_has_the_reference_s_loss_and_no_skill(reference: list[float]) -> None:
    grades = Grades.of([UNREAD] * len(reference), [read(loss) for loss in reference])
    assert grades.figure(LOSS) == np.mean(reference)
    assert grades.figure(SKILL) == 0
    assert not grades.valid.any()


@given(pairs=st.lists(st.tuples(losses, losses), min_size=1, max_size=20))
def test_skill_is_the_share_of_the_reference_s_loss_that_is_saved(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = (np.array(side) for side in zip(*pairs, strict=True))
    skill = Grades.of([read(loss) for loss in ours], [read(loss) for loss in theirs]).figure(SKILL)
    assert skill == (pytest.approx(1 - ours.mean() / theirs.mean()) if theirs.mean() > 0 else 0)


def test_nothing_is_saved_where_nothing_was_to_lose() -> None:
    assert saved(np.array([1.0, 1.0]), np.array([0.0, 2.0])).tolist() == [0, 0.5]


def test_a_figure_is_a_mean_or_a_share_saved_or_computed() -> None:
    grades = Grades.of([read(0.2, a=1, b=4), read(0.4, a=2, b=8)], [read(0.5), read(0.5)])
    assert grades.figure(Measure("a", "A", of="a")) == 1.5
    assert grades.figure(Measure("a", "A", of="a", saved_of="b")) == 0.75
    assert grades.figure(Measure("a", "A", compute=lambda found: found.loss.max())) == 0.4


@pytest.mark.parametrize(
    ("graded", "reference", "message"),
    [
        ([], [], "0 replies for 0 examples"),
        ([read(0.1)], [read(0.1), read(0.2)], "1 replies for 2 examples"),
        ([read(0.1), read(1.5)], [read(0.1), read(0.2)], "the loss of reply 1 is 1.5"),
        ([read(-0.1)], [read(0.1)], "the loss of reply 0 is -0.1"),
        ([read(float("nan"))], [read(0.1)], "the loss of reply 0 is nan"),
    ],
)
def test_what_cannot_be_judged_is_refused(graded: list[Graded], reference: list[Graded], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Grades.of(graded, reference)
