"""Asking AWS from a laptop: clients that give up soon, and its errors in words."""

import threading
from typing import Any

FIRST_REGION = "us-east-1"
"""Where to ask what is the same everywhere, if no region is configured."""


EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "SSOTokenLoadError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
    }
)
"""What services, and boto3 itself, say of credentials whose time is over."""

RENEW = "renew them: `aws sso login`, or a new key with `aws configure`"


class Clients:
    """Clients of one session, made from any thread: what they share takes longest to read."""

    def __init__(self, seconds: float = 4.0) -> None:
        """`seconds` is how long each answer may take; everything is asked twice."""
        import boto3

        self._session, self._lock, self._seconds = boto3.Session(), threading.Lock(), seconds

    def __call__(self, service: str, region: str | None = None) -> Any:
        """One in the configured region, or `us-east-1`."""
        from botocore.config import Config

        seconds, retries = self._seconds, {"total_max_attempts": 2}
        config = Config(connect_timeout=seconds, read_timeout=seconds, retries=retries)  # type: ignore[arg-type]
        make: Any = self._session.client
        with self._lock:
            return make(service, region_name=region or self._session.region_name or FIRST_REGION, config=config)


def client(service: str, region: str | None = None) -> Any:
    """A single one, with the credentials that are valid now."""
    return Clients()(service, region)


def errors() -> tuple[type[Exception], ...]:
    """What boto3 raises where a call did not succeed."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError, Boto3Error


def code(error: Exception) -> str:
    """The service's own word for an error, or the class of what never reached it."""
    response: Any = getattr(error, "response", None)
    return str(response["Error"]["Code"]) if response else type(error).__name__


def answered(error: Exception) -> bool:
    """Whether a service said so, and not what lies between it and here."""
    return bool(getattr(error, "response", None))


def words(error: Exception) -> str:
    """An error in one line, with the fix where the credentials have expired: at any point, those of hours may."""
    text = " ".join(str(error).split())[:300]
    return f"{text}; the credentials have expired: {RENEW}" if code(error) in EXPIRED else text
