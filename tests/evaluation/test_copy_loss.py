"""A quantized copy that forecasts worse is released with a warning, wherever the copy is described."""

from functools import cache

import numpy as np
import pytest
from loguru import logger

from cortex.evaluation.card import model_card
from cortex.evaluation.copy_loss import LEAST_FALL, copy_losses
from cortex.evaluation.graded import Graded
from cortex.evaluation.page import render_page
from cortex.evaluation.record import Derived, Evaluation
from cortex.stages.released import log_copy_losses
from tests.evaluation.simulation import MARKETS, judge, stated
from tests.evaluation.test_card import DETAILS
from tests.evaluation.test_judging import EXAMPLES, TEST

TRUTH = TEST["oracle_p_up"].to_numpy()
OUTCOME = TEST["outcome"].to_numpy()
FOLDERS = {"model": "The weights in full", "gptq-w4": "A copy in 4 bits (GPTQ)"}


def nearly() -> list[Graded]:
    """Forecasts as good as the model's own."""
    return stated(np.clip(TRUTH + np.random.default_rng(0).normal(0, 0.001, len(TRUTH)), 0, 1)).graded(OUTCOME)


def spoilt() -> list[Graded]:
    """Forecasts that are half the model's, and half noise."""
    return stated((TRUTH + np.random.default_rng(0).uniform(0, 1, len(TRUTH))) / 2).graded(OUTCOME)


def silent(share: float) -> list[Graded]:
    """The model's own forecasts, but for a share of answers that cannot be read."""
    read = stated(TRUTH).graded(OUTCOME)
    return [Graded(0.25, valid=False) if index < share * len(read) else graded for index, graded in enumerate(read)]


@cache
def judged(kind: str) -> Evaluation:
    copy = {"nearly": nearly, "spoilt": spoilt, "silent": lambda: silent(LEAST_FALL + 0.01)}[kind]()
    return judge(
        {"base": spoilt(), "grpo": stated(TRUTH).graded(OUTCOME), "gptq-w4": copy},
        EXAMPLES,
        derived=[
            Derived(name="model", made_of="base and adapter", divergence=1e-4),
            Derived(name="gptq-w4", made_of="model", divergence=0.04),
        ],
    )


def test_a_loss_is_the_rise_of_the_copys_brier_score_with_its_interval() -> None:
    (loss,) = copy_losses(judged("spoilt"))
    models = judged("spoilt").models
    assert loss.name == "gptq-w4"
    assert loss.rise == pytest.approx(models["gptq-w4"].loss - models["grpo"].loss)
    assert 0 < loss.interval.low < loss.rise < loss.interval.high


@pytest.mark.parametrize(("kind", "reason"), [("spoilt", "Brier score is"), ("silent", "of its answers can be read")])
def test_a_copy_that_lost_something_is_warned_of_in_card_page_and_log(
    kind: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluation, logged = judged(kind), []
    card = model_card(DETAILS.model_copy(update={"folders": FOLDERS}), [(evaluation, MARKETS.card())])
    opening = card[: card.index("## Data")]
    assert "**Warning:** gptq-w4 is worse than what it was made of" in opening and reason in opening
    assert "gptq-w4 is worse than what it was made of" in render_page(evaluation)
    sink = logger.add(lambda message: logged.append((message.record["level"].name, message.record["message"])))
    try:
        log_copy_losses(evaluation)
    finally:
        logger.remove(sink)
    ((level, message),) = logged
    assert level == "WARNING" and reason in message
    assert capsys.readouterr().out.startswith("gptq-w4: Brier score ")


def test_a_copy_that_lost_nothing_has_its_figures_and_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    evaluation = judged("nearly")
    card = model_card(DETAILS.model_copy(update={"folders": FOLDERS}), [(evaluation, MARKETS.card())])
    (row,) = (line for line in card.splitlines() if line.startswith("| `gptq-w4` |"))
    assert "0.04 nats a token from model" in row and "on grpo's" in row and "100.0% of answers readable" in row
    assert "Warning" not in card and "Warning" not in render_page(evaluation)
    log_copy_losses(evaluation)
    assert "gptq-w4: Brier score " in capsys.readouterr().out
