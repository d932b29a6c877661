"""What a cloud charges for bytes that leave it."""

import os
from collections.abc import Mapping

DOLLARS = {"s3": 0.09, "gs": 0.12, "az": 0.087}
"""For a gigabyte to the internet, from North America or Europe, in the first terabyte of a month and after what is
free. Source: the price lists of AWS (EC2 data transfer), Google (network, Premium tier) and Azure (bandwidth), 2026."""

BETWEEN_REGIONS = 0.02
"""Dollars for a gigabyte from one region of AWS to another, from North America or Europe; the same price list."""

WORTH_TELLING = 1.0
"""Dollars."""

_OTHER_SERVICES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


def egress_dollars(bucket: str, size: int, environment: Mapping[str, str] = os.environ) -> float | None:
    """Dollars for `size` bytes out of a bucket; None where nobody is known to charge for it: for a folder, and for a
    service that speaks S3 and is another's."""
    scheme, found, _ = bucket.partition("://")
    if not found or (scheme == "s3" and any(environment.get(name) for name in _OTHER_SERVICES)):
        return None
    price = DOLLARS.get(scheme)
    return None if price is None else size / 1e9 * price


def egress_line(bucket: str, size: int, environment: Mapping[str, str] = os.environ) -> str | None:
    """What to say before so much is brought home; None where it is not worth a line."""
    dollars = egress_dollars(bucket, size, environment)
    if dollars is None or dollars < WORTH_TELLING:
        return None
    return (
        f"{size / 1e9:,.1f} GB leave {bucket}: about ${dollars:,.2f} on the cloud's bill, unless this machine is in "
        "the bucket's own region"
    )
