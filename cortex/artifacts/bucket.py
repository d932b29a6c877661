"""The client of a bucket: how it is made from the environment, and how its errors are read."""

import importlib.util
import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError, GenericError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store, from_url

from cortex.errors import ConfigError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3CredentialProvider

RENEWALS = 3
"""Attempts that a refused credential is worth: it may have been renewed meanwhile."""

_STATUS = re.compile(r"status code: (\d{3})")
_CREDENTIALS = re.compile(r"ExpiredToken|InvalidAccessKeyId|InvalidToken|TokenRefreshRequired|status code: 40[13]")


def connect(url: str) -> "ObjectStore":
    """A client for `s3://bucket/prefix` (`gs://`, `az://`), with the credentials that are valid now.

    Raises:
        ConfigError: the URL or the settings in the environment cannot be used.
    """
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    client: ClientConfig = {
        "allow_http": endpoint.startswith("http://"),
        "connect_timeout": timedelta(seconds=10),
        "read_timeout": timedelta(seconds=30),
        "timeout": timedelta(minutes=5),
    }
    # One part of an upload is tried again by the client; anything more is the store's to count and to report.
    retry: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}
    provider = _boto3_credentials() if url.startswith("s3:") else None
    try:
        if provider:
            return S3Store.from_url(url, client_options=client, retry_config=retry, credential_provider=provider)
        return from_url(url, client_options=client, retry_config=retry)
    except (BaseError, ValueError) as error:
        raise ConfigError(f"store {url!r} cannot be opened: {first_line(error)}") from error


def is_transient(error: Exception, attempt: int) -> bool:
    """Whether asking again may help, after this many attempts."""
    if not isinstance(error, GenericError | PermissionDeniedError | UnauthenticatedError):
        return False
    if "RequestTimeTooSkewed" in str(error):
        return False
    if is_about_credentials(error):
        return attempt < RENEWALS
    status = _STATUS.search(str(error))
    return status is None or status[1] in ("408", "429") or status[1].startswith("5")


def is_about_credentials(error: Exception) -> bool:
    """Whether the bucket did not accept who asked."""
    return _CREDENTIALS.search(str(error)) is not None


def advice(error: Exception) -> str:
    """What the user can do about an error, to be put at the end of a message; nothing where we do not know."""
    if "RequestTimeTooSkewed" in str(error):
        return ": this machine's clock is wrong; set it"
    if "NoSuchBucket" in str(error):
        return ": there is no such bucket; name yours with CORTEX_BUCKET, or raise one: make infra-up"
    if "AccessDenied" in str(error):
        return (
            ": it is another account's, or these credentials may not use it; name yours with CORTEX_BUCKET, or take "
            "credentials that may (AWS_PROFILE)"
        )
    if is_about_credentials(error):
        return ": the credentials are not accepted (any more); renew them, then run this again"
    return ""


def first_line(error: Exception) -> str:
    """The message without the client's debug dump, and the server's code where it gives one."""
    text = str(error).strip()
    code = re.search(r"<Code>(\w+)</Code>", text)
    return text.partition("\n")[0].partition(": <?xml")[0][:300] + (f" ({code[1]})" if code else "")


def _boto3_credentials() -> "S3CredentialProvider | None":
    """Profiles and single sign-on of a laptop, which the bucket's client does not read; None where they say nothing."""
    if "AWS_ACCESS_KEY_ID" in os.environ or importlib.util.find_spec("boto3") is None:
        return None
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        return Boto3CredentialProvider()
    except ValueError:
        return None
