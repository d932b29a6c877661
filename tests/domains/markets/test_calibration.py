import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from cortex.domains.markets.calibration import reliability


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
