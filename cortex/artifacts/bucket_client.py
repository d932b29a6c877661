"""The client of a bucket, made from the environment."""

import os
from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError
from obstore.store import S3Store, from_url

from cortex.artifacts.aws_profile import AwsProfile, read_aws_profile
from cortex.artifacts.error_answers import first_line
from cortex.errors import ConfigError
from cortex.variables.client_settings import check_bucket_client, check_network, drop_empty

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Config

CLIENT_VARIABLES = ("AWS_", "AZURE_", "GOOGLE_")


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
    # The client retries a request twice; the store does all further retries, which it counts and reports.
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


def _endpoint(scheme: str, profile: AwsProfile) -> str | None:
    """The address of another server than the cloud's own, from the environment, else from the profile."""
    names = {
        "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
        "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
        "gs": ("GOOGLE_BASE_URL",),
    }
    given = (os.environ.get(name) for name in names[scheme])
    return next((url for url in given if url), profile.endpoint)


def _setting_in(error: Exception) -> str:
    """The variables whose value the client's message shows, since the message does not name them."""
    named = [
        name
        for name, value in sorted(os.environ.items())
        if name.startswith(CLIENT_VARIABLES) and value and f'"{value}"' in str(error)
    ]
    return f"; look at {' and '.join(named)}" if named else ""
