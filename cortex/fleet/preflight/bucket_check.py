"""Check of the runs' bucket: it exists, belongs to this account, and supports the operations of a run."""

import secrets
from urllib.parse import urlsplit

from cortex.artifacts.open_store import open_store
from cortex.artifacts.patience import Patience
from cortex.artifacts.store import Store, StoreError
from cortex.errors import ConfigError
from cortex.fleet.clouds import aws_api
from cortex.fleet.home.egress import BETWEEN_REGIONS
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground

NAME = "bucket"

FOLDER = "runs/.preflight"
"""Folder of the probe object: below `runs/`, where a run has its rights, but not a valid run's id."""

_REFUSED = ("403", "AccessDenied")
_OTHER = "take the bucket of `make infra-up` (CORTEX_BUCKET), or use that account's credentials (AWS_PROFILE)"


def check(ground: Ground) -> Finding:
    """Check the bucket's owner, then write, read and delete a small object with the kit's own client."""
    url = ground.settings.bucket_url
    if urlsplit(url).scheme in ("", "file"):
        detail = f"runs would be kept in the folder {url}, which no rented machine can reach"
        return Finding(
            NAME, False, detail, "export CORTEX_BUCKET=s3://... (`make infra-up` makes a bucket and names it)"
        )
    try:
        store = open_store(url, Patience(deadline=5.0, longest=1.0))
    except ConfigError as error:
        return Finding(NAME, False, str(error), "correct what is named")
    home = _home(urlsplit(url).netloc) if url.startswith("s3:") else None
    if isinstance(home, Finding):
        return home
    try:
        return _with_distance(_probe(store), home, ground)
    except StoreError as error:
        fix = f"give these credentials the right to read, write and delete below {url}/runs; {_OTHER}"
        return Finding(NAME, False, str(error), fix)


def _probe(store: Store) -> Finding:
    key, data = f"{FOLDER}/{secrets.token_hex(8)}", secrets.token_bytes(16)
    try:
        store.put_if_absent(key, data)
        conditional = not store.put_if_absent(key, data)
        same = store.get(key) == data
    finally:
        store.delete(key)
    if not same or store.exists(key):
        what = "gives back other bytes than were written" if not same else "keeps what is deleted"
        return Finding(NAME, False, f"{store.url} {what}", "keep runs elsewhere: CORTEX_BUCKET=s3://...")
    if not conditional:
        detail = f"{store.url} ignores conditional writes (If-None-Match), so that no run may be kept in it"
        return Finding(NAME, False, detail, "keep runs in a bucket that knows them: CORTEX_BUCKET=s3://...")
    return Finding(NAME, True, f"{store.url}: written, read, deleted")


def _with_distance(found: Finding, home: str | None, ground: Ground) -> Finding:
    """The same finding, with the cost of traffic where tasks name other regions of AWS than the bucket's."""
    named = {place.region for place in ground.places() if place.cloud == "aws" and place.region}
    elsewhere = sorted(named - {home})
    if not found.ok or home is None or not elsewhere:
        return found
    detail = (
        f"{found.detail}; it is in {home}, and what machines in {' and '.join(elsewhere)} read and write crosses "
        f"regions, at about ${BETWEEN_REGIONS} a GB"
    )
    # No advice where the bucket's region is named, too: then the others were probably chosen for their capacity.
    advice = None if home in named else f"take machines in {home}, or a bucket in {elsewhere[0]}"
    return Finding(NAME, True, detail, advice)


def _home(bucket: str) -> str | Finding | None:
    """The AWS region of an S3 bucket; None where AWS does not tell, or the service is not AWS's. A finding where the
    bucket is missing or not this account's, before anything is written to it."""
    try:
        clients = aws_api.Clients()
        s3 = clients("s3")
        region = s3.head_bucket(Bucket=bucket).get("BucketRegion")
    except aws_api.error_types() as error:
        return _unseen(bucket, error)
    try:
        account = clients("sts").get_caller_identity()["Account"]
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except aws_api.error_types() as error:
        if aws_api.error_code(error) in _REFUSED and getattr(error, "operation_name", "") == "HeadBucket":
            return Finding(NAME, False, f"bucket {bucket} is of another account than these credentials", _OTHER)
        # S3-compatible services of other providers have no STS, and their own regions.
        return None
    return region


def _unseen(bucket: str, error: Exception) -> Finding | None:
    if aws_api.error_code(error) in ("404", "NoSuchBucket"):
        return Finding(NAME, False, f"there is no bucket {bucket}", f"correct CORTEX_BUCKET; {_OTHER}")
    if aws_api.error_code(error) in _REFUSED:
        return Finding(NAME, False, f"bucket {bucket} is of another account, or refuses this one", _OTHER)
    if not aws_api.is_service_error(error):
        fix = "see that it can be reached from here, and as whom (AWS_PROFILE, AWS_ENDPOINT_URL)"
        return Finding(NAME, False, f"bucket {bucket} cannot be asked: {aws_api.describe_error(error)}", fix)
    return None  # the probe tells more
