"""Check of this machine's clock: a cloud refuses signatures that are off by minutes."""

import os
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from cortex.fleet.clouds import aws_api
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground

NAME = "clock"

BROKEN, WRONG = 300.0, 60.0
"""Seconds of difference from which the check fails (AWS allows 15 minutes, others less), and from which it warns."""


def check(ground: Ground) -> Finding:
    """Compare with the `Date` header of the bucket's service, or of AWS; accurate to about a second."""
    import httpx

    url = service(ground.settings.bucket_url)
    before = ground.clock()
    try:
        answer = httpx.head(url, timeout=5)
        there = parsedate_to_datetime(answer.headers["date"]).astimezone(UTC).timestamp()
    except (httpx.HTTPError, KeyError, ValueError) as error:
        return Finding(NAME, None, f"{url} told no time ({type(error).__name__})")
    ahead = (before + ground.clock()) / 2 - there - 0.5  # the header has whole seconds, on average 0.5 s too early
    host = urlsplit(url).netloc
    if abs(ahead) <= WRONG:
        return Finding(NAME, True, f"within {max(1, round(abs(ahead)))} s of {host}")
    detail = f"this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} {host}'s"
    fix = "set it: `sudo timedatectl set-ntp true` (in a virtual machine, let its host set it)"
    return Finding(NAME, abs(ahead) <= BROKEN, detail, fix)


def service(bucket: str) -> str:
    """The URL of the service behind a bucket; AWS's STS where runs are kept in a folder."""
    scheme, _, rest = bucket.partition("://")
    if scheme == "gs":
        return "https://storage.googleapis.com"
    if scheme == "az":
        return f"https://{os.environ.get('AZURE_STORAGE_ACCOUNT_NAME') or rest.partition('/')[0]}.blob.core.windows.net"
    client = aws_api.client("s3" if scheme == "s3" else "sts")
    return str(client.meta.endpoint_url)
