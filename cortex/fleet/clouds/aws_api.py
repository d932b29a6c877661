"""AWS's API from a laptop: clients with short timeouts, and AWS's errors in words."""

import threading
from typing import Any

FIRST_REGION = "us-east-1"
"""The region to ask for what is the same in every region, if none is configured."""


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
"""Error codes of services, and exception classes of boto3, that mean expired credentials."""

RENEW = "renew them: `aws sso login`, or a new key with `aws configure`"


class Clients:
    """Clients of one boto3 session, made from any thread: loading the session is the slow part, so all share it."""

    def __init__(self, seconds: float = 4.0) -> None:
        """`seconds` is the timeout of each request; a failed one is tried once more."""
        import boto3

        self._session, self._lock, self._seconds = boto3.Session(), threading.Lock(), seconds

    def __call__(self, service: str, region: str | None = None) -> Any:
        """A client in `region`, else in the configured region, else in `us-east-1`."""
        from botocore.config import Config

        seconds, retries = self._seconds, {"total_max_attempts": 2}
        config = Config(connect_timeout=seconds, read_timeout=seconds, retries=retries)  # type: ignore[arg-type]
        make: Any = self._session.client
        with self._lock:
            return make(service, region_name=region or self._session.region_name or FIRST_REGION, config=config)


def client(service: str, region: str | None = None) -> Any:
    """A single client, of a new session: it reads the credentials that are configured now."""
    return Clients()(service, region)


def error_types() -> tuple[type[Exception], ...]:
    """The exceptions that boto3 raises for a call that failed."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError, Boto3Error


def error_code(error: Exception) -> str:
    """The service's error code, or the exception's class where the call never reached the service."""
    response: Any = getattr(error, "response", None)
    return str(response["Error"]["Code"]) if response else type(error).__name__


def is_service_error(error: Exception) -> bool:
    """True where the service itself answered with the error, False where the call did not reach it."""
    return bool(getattr(error, "response", None))


def describe_error(error: Exception) -> str:
    """An error in one line, with the fix for expired credentials: temporary ones may expire at any point."""
    text = " ".join(str(error).split())[:300]
    return f"{text}; the credentials have expired: {RENEW}" if error_code(error) in EXPIRED else text
