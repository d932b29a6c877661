"""The scores of a set of forecasts against what happened."""

from dataclasses import dataclass

import numpy as np

from cortex.errors import DataError
from cortex.evaluation.calibration import reliability
from cortex.evaluation.forecasts import Floats, Forecasts, checked_base_rate, checked_outcome
from cortex.evaluation.record import CLIP, Scores
from cortex.market.outcomes import is_up


@dataclass(frozen=True, eq=False)
class Losses:
    """Contribution of each of N examples to scores that are means or ratios of means: arrays of length N."""

    hit: Floats
    brier: Floats
    reference_brier: Floats
    log_loss: Floats
    absolute_error: Floats
    absolute_return: Floats
    covered: Floats
    width: Floats


def losses(forecasts: Forecasts, outcome: Floats, base_rate: float) -> Losses:
    """The losses of N forecasts against N outcomes (fractions), and of the training base rate on the same examples.

    Raises:
        DataError: the lengths differ, there are no examples, an outcome is not finite, or the base rate is 0 or 1.
    """
    outcome, base_rate = checked_outcome(outcome), checked_base_rate(base_rate)
    if len(forecasts) != len(outcome):
        raise DataError(
            f"{len(forecasts)} forecasts for {len(outcome)} outcomes: forecast every example once, in order"
        )
    up = is_up(outcome).astype(np.float64)
    clipped = np.clip(forecasts.p_up, CLIP, 1 - CLIP)
    return Losses(
        hit=np.where(forecasts.p_up == 0.5, 0.5, (forecasts.p_up > 0.5) == (up == 1)),
        brier=(forecasts.p_up - up) ** 2,
        reference_brier=(base_rate - up) ** 2,
        log_loss=-np.log(np.where(up == 1, clipped, 1 - clipped)),
        absolute_error=np.abs(forecasts.expected_return - outcome),
        absolute_return=np.abs(outcome),
        covered=((forecasts.low <= outcome) & (outcome <= forecasts.high)).astype(np.float64),
        width=forecasts.high - forecasts.low,
    )


def score(forecasts: Forecasts, outcome: Floats, base_rate: float) -> Scores:
    """Score N forecasts against N outcomes (fractions), with the training split's rate of up as the reference.

    Raises:
        DataError: as `losses`.
    """
    each = losses(forecasts, outcome, base_rate)
    brier, return_mae, no_change_mae = each.brier.mean(), each.absolute_error.mean(), each.absolute_return.mean()
    return Scores(
        n=len(forecasts),
        valid_share=float(forecasts.valid.mean()),
        accuracy=float(each.hit.mean()),
        brier=float(brier),
        brier_skill=float(skill(brier, each.reference_brier.mean())),
        log_loss=float(each.log_loss.mean()),
        calibration_error=reliability(forecasts.p_up, is_up(outcome)).expected_error,
        return_mae=float(return_mae),
        no_change_mae=float(no_change_mae),
        return_skill=float(skill(return_mae, no_change_mae)),
        coverage=float(each.covered.mean()),
        interval_width=float(each.width.mean()),
    )


def skill(loss: Floats | np.floating, reference: Floats | np.floating) -> Floats:
    """The share of the reference's loss that is saved (Murphy 1988); 0 where the reference loses nothing."""
    loses = np.asarray(reference > 0)
    return 1 - np.divide(loss, reference, out=np.ones(loses.shape), where=loses)
