"""The client of a bucket: how it is made from the environment, and how its errors are read."""

import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError, GenericError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store, from_url

from cortex.artifacts.aws_profile import AwsProfile, read_aws_profile
from cortex.client_settings import check_bucket_client, check_network, drop_empty
from cortex.errors import ConfigError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Config

CLIENT_VARIABLES = ("AWS_", "AZURE_", "GOOGLE_")

RENEWALS = 3
"""Attempts that a refused credential is worth: it may have been renewed meanwhile."""

_STATUS = re.compile(r"status code: (\d{3})")
_CREDENTIALS = re.compile(r"ExpiredToken|InvalidAccessKeyId|InvalidToken|TokenRefreshRequired|status code: 40[13]")


def connect(url: str) -> "ObjectStore":
    """A client for `s3://bucket/prefix` (`gs://`, `az://`), with the credentials that are valid now.

    Raises:
        ConfigError: the URL or the settings in the environment cannot be used.
    """
    scheme = url.partition("://")[0]
    drop_empty(os.environ)
    try:
        check_bucket_client(scheme, os.environ)
        check_network(os.environ)
    except ValueError as error:
        raise ConfigError(f"store {url!r} cannot be opened: {error}") from error
    profile = read_aws_profile() if scheme == "s3" else AwsProfile()
    endpoint = _endpoint(scheme, profile)
    client: ClientConfig = {
        "allow_http": (endpoint or "").lower().startswith("http://"),
        "connect_timeout": timedelta(seconds=10),
        "read_timeout": timedelta(seconds=30),
        "timeout": timedelta(minutes=5),
    }
    # One part of an upload is tried again by the client; anything more is the store's to count and to report.
    retry: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}
    try:
        if scheme != "s3":
            return from_url(url, client_options=client, retry_config=retry)
        config: S3Config = {"endpoint": endpoint} if endpoint else {}
        return S3Store.from_url(
            url, config=config, client_options=client, retry_config=retry, credential_provider=profile.credentials
        )
    except (BaseError, ValueError) as error:
        raise ConfigError(f"store {url!r} cannot be opened: {first_line(error)}{_setting_in(error)}") from error


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


def _endpoint(scheme: str, profile: AwsProfile) -> str | None:
    """The address of another server than the cloud's own, from the environment or else from the profile."""
    names = {
        "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
        "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
        "gs": ("GOOGLE_BASE_URL",),
    }
    given = (os.environ.get(name) for name in names[scheme])
    return next((url for url in given if url), profile.endpoint)


def _setting_in(error: Exception) -> str:
    """The variables whose value the client's message repeats, since it does not name them."""
    named = [
        name
        for name, value in sorted(os.environ.items())
        if name.startswith(CLIENT_VARIABLES) and value and f'"{value}"' in str(error)
    ]
    return f"; look at {' and '.join(named)}" if named else ""
