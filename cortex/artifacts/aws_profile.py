# pyright: standard
"""The AWS profile of a laptop, which the bucket's client does not read: keys, single sign-on and an endpoint."""

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cortex.errors import ConfigError
from cortex.urls import check_http_url
from cortex.variables.client_settings import check_key, check_region

if TYPE_CHECKING:
    from boto3 import Session
    from obstore.store import S3CredentialProvider


@dataclass(frozen=True)
class AwsProfile:
    """The settings of a profile that the environment does not give."""

    credentials: "S3CredentialProvider | None" = None
    endpoint: str | None = None
    """The address of another server than Amazon's."""


def read_aws_profile() -> AwsProfile:
    """The profile that AWS_PROFILE names, or the default one; an empty one where boto3 is not installed.

    Raises:
        ConfigError: there is no such profile, or its settings cannot be used.
    """
    with_keys = "AWS_ACCESS_KEY_ID" in os.environ
    if importlib.util.find_spec("boto3") is None or (with_keys and not _names_endpoint()):
        return AwsProfile()  # importing boto3 takes longer than most commands
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        session = boto3.Session()
        return AwsProfile(None if with_keys else _credentials(session), _endpoint(session))
    except (BotoCoreError, ValueError) as error:
        name = os.environ.get("AWS_PROFILE", "default")
        raise ConfigError(f"AWS profile {name!r} cannot be used: {error}; mend it in {_config_file()}") from error


def _credentials(session: "Session") -> "S3CredentialProvider | None":
    from obstore.auth.boto3 import Boto3CredentialProvider

    found = session.get_credentials()
    if found is None:
        return None
    if session.region_name:
        check_region(session.region_name)
    if found.method in ("shared-credentials-file", "config-file"):
        for part, value in {"id": found.access_key, "secret": found.secret_key, "token": found.token}.items():
            try:
                check_key(value or "-")
            except ValueError as error:
                raise ValueError(f"its key's {part} {error}") from error
    return Boto3CredentialProvider(session)


def _endpoint(session: "Session") -> str | None:
    """The profile's `endpoint_url`, or that of its `services` section for S3, which comes first."""
    from botocore.configprovider import ConfiguredEndpointProvider

    core = session._session  # boto3 has no public way to the configuration that it read
    if core.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    read = {"full_config": core.full_config, "scoped_config": core.get_scoped_config()}
    found = ConfiguredEndpointProvider(**read, client_name="s3", environ={}).provide()
    if not found:
        return None
    try:
        return check_http_url(str(found))
    except ValueError as error:
        raise ValueError(f"endpoint_url is {found!r}: it {error}") from error


def _names_endpoint() -> bool:
    try:
        return "endpoint_url" in _config_file().read_text(errors="replace", encoding="utf-8")
    except OSError:
        return False


def _config_file() -> Path:
    return Path(os.environ.get("AWS_CONFIG_FILE", "~/.aws/config")).expanduser()
