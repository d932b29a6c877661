"""Prices of clouds for bytes that leave them (egress)."""

import os
from collections.abc import Mapping

DOLLARS = {"s3": 0.09, "gs": 0.12, "az": 0.087}
"""Dollars a gigabyte to the internet, from North America or Europe, in the first terabyte of a month beyond what is
free. Source: the price lists of AWS (EC2 data transfer), Google (network, Premium tier) and Azure (bandwidth), 2026."""

BETWEEN_REGIONS = 0.02
"""Dollars a gigabyte from one region of AWS to another, from North America or Europe; the same price list."""

WORTH_TELLING = 1.0
"""Dollars from which the user is told of the cost."""

_OTHER_SERVICES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


def egress_dollars(bucket: str, size: int, environment: Mapping[str, str] = os.environ) -> float | None:
    """Dollars for `size` bytes out of a bucket; None where no price is known: for a folder, and for an S3-compatible
    service of another provider."""
    scheme, found, _ = bucket.partition("://")
    if not found or (scheme == "s3" and any(environment.get(name) for name in _OTHER_SERVICES)):
        return None
    price = DOLLARS.get(scheme)
    return None if price is None else size / 1e9 * price


def egress_line(bucket: str, size: int, environment: Mapping[str, str] = os.environ) -> str | None:
    """A line for the user about the cost of downloading `size` bytes; None where it is too little to mention."""
    dollars = egress_dollars(bucket, size, environment)
    if dollars is None or dollars < WORTH_TELLING:
        return None
    return (
        f"{size / 1e9:,.1f} GB leave {bucket}: about ${dollars:,.2f} on the cloud's bill, unless this machine is in "
        "the bucket's own region"
    )
