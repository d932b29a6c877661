"""Prices of leaving a cloud; unknown prices are not guessed."""

import pytest

from cortex.fleet.home.egress import egress_dollars, egress_line

RELEASE = 257_000_000_000
"""Bytes of a 70B model, its adapter and two copies."""


@pytest.mark.parametrize(
    ("bucket", "dollars"), [("s3://mine/kit", 23.13), ("gs://mine", 30.84), ("az://account/mine", 22.36)]
)
def test_each_cloud_has_its_price(bucket: str, dollars: float) -> None:
    assert egress_dollars(bucket, RELEASE, {}) == pytest.approx(dollars, abs=0.01)
    line = egress_line(bucket, RELEASE, {})
    assert line and f"257.0 GB leave {bucket}: about ${dollars:.2f}" in line


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_nothing_is_said_of_services_whose_prices_are_not_known(name: str) -> None:
    assert egress_dollars("s3://mine", RELEASE, {name: "https://s3.example"}) is None
    assert egress_dollars("gs://mine", RELEASE, {name: "https://s3.example"}) is not None
    assert egress_dollars("/folder/of/mine", RELEASE, {}) is None
    assert egress_line("ftp://mine", RELEASE, {}) is None


def test_less_than_a_dollar_is_not_worth_a_line() -> None:
    assert egress_line("s3://mine", 11_000_000_000, {}) is None
    assert egress_line("s3://mine", 12_000_000_000, {})
