import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression

from cortex.domains.markets.calibration import calibrate, reliability, uncertainty


def test_bins_agree_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    p_up = np.round(generator.random(500), 2)
    up = generator.random(500) < p_up
    up_rate, mean_p = calibration_curve(up, p_up, n_bins=10, strategy="quantile")
    ours = reliability(p_up, up)
    np.testing.assert_allclose(ours.mean_p, mean_p)
    np.testing.assert_allclose(ours.up_rate, up_rate)
    assert ours.count.sum() == 500


def test_equal_probabilities_share_a_bin_in_whatever_order_they_come() -> None:
    p_up = np.repeat([0.3, 0.6], 50)
    up = np.arange(100) % 2 == 0
    shuffled = np.random.default_rng(1).permutation(100)
    one, other = reliability(p_up, up), reliability(p_up[shuffled], up[shuffled])
    assert one.mean_p == pytest.approx([0.3, 0.6])
    assert one.count.tolist() == other.count.tolist() == [50, 50]
    assert one.expected_error == pytest.approx(other.expected_error)


def test_expected_error_is_the_weighted_gap() -> None:
    p_up = np.repeat([0.2, 0.9], [30, 10])
    up = np.concatenate([np.arange(30) < 9, np.arange(10) < 8])  # 30% and 80%
    assert reliability(p_up, up).expected_error == pytest.approx(0.1)


def test_a_single_probability_is_one_bin() -> None:
    one = reliability(np.full(7, 0.5), np.ones(7, dtype=np.bool_))
    assert one.count.tolist() == [7]
    assert one.expected_error == pytest.approx(0.5)


def test_the_calibrated_rate_is_that_of_an_isotonic_regression_over_the_bins() -> None:
    generator = np.random.default_rng(2)
    p_up = generator.random(400)
    up = generator.random(400) < 0.3 + 0.4 * p_up
    bins = reliability(p_up, up)
    assert (np.diff(bins.up_rate) < 0).any(), "some bins have to be pooled"
    fitted = IsotonicRegression(out_of_bounds="clip").fit(bins.mean_p, bins.up_rate, bins.count)
    asked = np.linspace(0, 1, 101)
    diagram = {"mean_p": bins.mean_p.tolist(), "up_rate": bins.up_rate.tolist(), "count": bins.count.tolist()}
    np.testing.assert_allclose([calibrate(p, diagram) for p in asked], fitted.predict(asked), atol=1e-12)


def test_a_model_that_is_sure_and_wrong_counts_as_uncertain() -> None:
    assert [uncertainty(p, {}) for p in (0.0, 0.5, 1.0)] == [0, 1, 0]
    right = {"reliability": {"mean_p": [0.05, 0.95], "up_rate": [0.05, 0.95], "count": [50, 50]}}
    wrong = {"reliability": {"mean_p": [0.05, 0.95], "up_rate": [0.5, 0.5], "count": [50, 50]}}
    assert uncertainty(0.95, right) == pytest.approx(0.19)
    assert uncertainty(0.95, wrong) == pytest.approx(1.0)
