"""Prompt distillation in the results: a student as good as its teacher, the tokens it saves, and the words for it."""

import numpy as np
import pytest

from cortex.evaluation.card import CardDetails, model_card
from cortex.evaluation.clusters import Clusters
from cortex.evaluation.distillation import Answered, LongPrompt, judge_distillation
from cortex.evaluation.distillation_words import distillation_sentences
from cortex.evaluation.graded import Graded
from cortex.evaluation.page import render_page
from cortex.evaluation.record import Distillation, Evaluation
from tests.evaluation.simulation import MARKETS, judge, make_examples, stated

EXAMPLES = make_examples(dates=200, symbols=3, strength=1.5)
TEST = EXAMPLES.filter(split="test")
P_UP, OUTCOME = TEST["oracle_p_up"].to_numpy(), TEST["outcome"].to_numpy()


def graded(p_up: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> list[Graded]:
    return stated(p_up).graded(OUTCOME)


def distilled(
    student: list[Graded], price: float | None = 2.5, cached: float | None = None, unanswered: int = 0
) -> Distillation:
    half = np.full(len(P_UP), 0.5)
    return judge_distillation(
        Answered("sft", prompted=False, graded=student),
        Answered("teacher", prompted=True, graded=graded(P_UP)),
        [Answered("base", prompted=False, graded=graded(half)), Answered("base", prompted=True, graded=graded(P_UP))],
        graded(half),
        Clusters.read(TEST, 1),
        scale=MARKETS.scale,
        prompt=LongPrompt("ab" * 32, 1200, price, cached),
        unanswered=unanswered,
    )


def evaluation(found: Distillation | None) -> Evaluation:
    made = judge({"sft": graded(P_UP)}, EXAMPLES, judged="sft")
    return made.model_copy(update={"distillation": found})


def test_a_student_that_knows_the_rule_is_no_worse_and_one_that_does_not_is() -> None:
    found = distilled(graded(np.clip(P_UP + 0.01, 0, 1)))
    assert abs(found.difference) < 0.005 and found.difference_interval.low < found.difference_interval.high
    student, teacher, base, prompted = found.contenders
    assert (student.prompted, teacher.prompted, base.prompted, prompted.prompted) == (False, True, False, True)
    assert student.skill_interval.low > 0 and base.skill == 0 and prompted.loss == teacher.loss
    worse = distilled(graded(1 - P_UP))
    assert worse.difference_interval.high < 0


def test_an_answer_that_nobody_gave_counts_as_the_baselines() -> None:
    silent = [Graded(1.0, False, numbers=each.numbers) for each in graded(P_UP)]
    student = distilled(silent).contenders[0]
    assert student.skill == 0 and student.valid_share == 0


def test_the_saving_is_the_prompts_tokens_at_the_price_of_input() -> None:
    found = distilled(graded(P_UP), price=2.5, cached=0.25)
    assert (found.tokens_saved, found.dollars_saved, found.dollars_saved_cached) == (1200, 3000.0, 300.0)
    first, second = distillation_sentences(evaluation(found))
    assert "never seen" in first and f"{found.contenders[0].loss:.4f}" in first
    assert "1,200 tokens shorter" in second and "$3,000.00 for a million requests" in second
    assert "$300.00 where" in second and "cortex breakeven --system-prompt 1200" in second
    *_, unpriced = distillation_sentences(evaluation(distilled(graded(P_UP), price=None, unanswered=3)))
    assert "names no price" in unpriced and "$" not in unpriced


@pytest.mark.parametrize("missing", [0, 3])
def test_page_and_card_say_it_and_stay_silent_without_a_prompt(missing: int) -> None:
    found = evaluation(distilled(graded(P_UP), unanswered=missing))
    details = CardDetails(title="t", license="mit", base_model=None, profile={}, training=[], folders={}, provenance={})
    page, card = render_page(found), model_card(details, [(found, MARKETS.card())])
    assert "<h2>Prompt distillation</h2>" in page and "teacher, with the long prompt" in page
    assert "base, without it" in page and "1,200 tokens shorter" in page and "1,200 tokens shorter" in card
    assert (f"{missing} of them have no answer" in page) == bool(missing)
    assert Evaluation.from_json(found.to_json()) == found
    without = evaluation(None)
    assert "distillation" not in render_page(without) + model_card(details, [(without, MARKETS.card())])
