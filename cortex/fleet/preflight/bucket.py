"""Whether the runs' bucket is there, is ours, and takes what a run does to it."""

import secrets
from urllib.parse import urlsplit

from cortex.artifacts.patience import Patience
from cortex.artifacts.store import Store, StoreError
from cortex.errors import ConfigError
from cortex.fleet import aws
from cortex.fleet.egress import BETWEEN_REGIONS
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground

NAME = "bucket"

FOLDER = "runs/.preflight"
"""Where the probe is written: below `runs/`, where a run's rights reach, and under no run's id."""

_REFUSED = ("403", "AccessDenied")
_OTHER = "take the bucket of `make infra-up` (CORTEX_BUCKET), or use that account's credentials (AWS_PROFILE)"


def check(ground: Ground) -> Finding:
    """Find the owner, then write, read and delete a small object, by the kit's own client."""
    url = ground.settings.bucket_url
    if urlsplit(url).scheme in ("", "file"):
        detail = f"runs would be kept in the folder {url}, which no rented machine can reach"
        return Finding(
            NAME, False, detail, "export CORTEX_BUCKET=s3://... (`make infra-up` makes a bucket and names it)"
        )
    try:
        store = Store.open(url, Patience(deadline=5.0, longest=1.0))
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
    """The same, with what it costs that machines of AWS are in other regions than the bucket, as far as tasks say."""
    named = {place.region for place in ground.places() if place.cloud == "aws" and place.region}
    elsewhere = sorted(named - {home})
    if not found.ok or home is None or not elsewhere:
        return found
    detail = (
        f"{found.detail}; it is in {home}, and what machines in {' and '.join(elsewhere)} read and write crosses "
        f"regions, at about ${BETWEEN_REGIONS} a GB"
    )
    # Where machines may be near it, too, somebody chose the others for their capacity.
    advice = None if home in named else f"take machines in {home}, or a bucket in {elsewhere[0]}"
    return Finding(NAME, True, detail, advice)


def _home(bucket: str) -> str | Finding | None:
    """The region of AWS that an S3 bucket is in; None where AWS does not tell, or the service is another's. Or what is
    wrong with the bucket, before anything is written to it."""
    try:
        clients = aws.Clients()
        s3 = clients("s3")
        region = s3.head_bucket(Bucket=bucket).get("BucketRegion")
    except aws.errors() as error:
        return _unseen(bucket, error)
    try:
        account = clients("sts").get_caller_identity()["Account"]
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except aws.errors() as error:
        if aws.code(error) in _REFUSED and getattr(error, "operation_name", "") == "HeadBucket":
            return Finding(NAME, False, f"bucket {bucket} is of another account than these credentials", _OTHER)
        # What speaks S3 alone has no accounts to ask for, and regions of its own.
        return None
    return region


def _unseen(bucket: str, error: Exception) -> Finding | None:
    if aws.code(error) in ("404", "NoSuchBucket"):
        return Finding(NAME, False, f"there is no bucket {bucket}", f"correct CORTEX_BUCKET; {_OTHER}")
    if aws.code(error) in _REFUSED:
        return Finding(NAME, False, f"bucket {bucket} is of another account, or refuses this one", _OTHER)
    if not aws.answered(error):
        fix = "see that it can be reached from here, and as whom (AWS_PROFILE, AWS_ENDPOINT_URL)"
        return Finding(NAME, False, f"bucket {bucket} cannot be asked: {aws.words(error)}", fix)
    return None  # the probe tells more
