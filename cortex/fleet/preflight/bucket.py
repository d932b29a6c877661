"""Whether the runs' bucket is there, is ours, and takes what a run does to it."""

import secrets
from urllib.parse import urlsplit

from cortex.artifacts.patience import Patience
from cortex.artifacts.store import Store, StoreError
from cortex.errors import ConfigError
from cortex.fleet import aws
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
    if url.startswith("s3:"):
        fault = _fault(urlsplit(url).netloc)
        if fault:
            return fault
    try:
        return _probe(store)
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


def _fault(bucket: str) -> Finding | None:
    """What is wrong with an S3 bucket before anything is written to it, as far as AWS says so."""
    try:
        clients = aws.Clients()
        s3 = clients("s3")
        s3.head_bucket(Bucket=bucket)
    except aws.errors() as error:
        return _unseen(bucket, error)
    try:
        account = clients("sts").get_caller_identity()["Account"]
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except aws.errors() as error:
        # What speaks S3 alone has no accounts to ask for.
        if aws.code(error) in _REFUSED and getattr(error, "operation_name", "") == "HeadBucket":
            return Finding(NAME, False, f"bucket {bucket} is of another account than these credentials", _OTHER)
    return None


def _unseen(bucket: str, error: Exception) -> Finding | None:
    if aws.code(error) in ("404", "NoSuchBucket"):
        return Finding(NAME, False, f"there is no bucket {bucket}", f"correct CORTEX_BUCKET; {_OTHER}")
    if aws.code(error) in _REFUSED:
        return Finding(NAME, False, f"bucket {bucket} is of another account, or refuses this one", _OTHER)
    if not aws.answered(error):
        fix = "see that it can be reached from here, and as whom (AWS_PROFILE, AWS_ENDPOINT_URL)"
        return Finding(NAME, False, f"bucket {bucket} cannot be asked: {aws.words(error)}", fix)
    return None  # the probe tells more
