"""MLflow's REST API (https://mlflow.org/docs/latest/rest-api.html): no image carries its package."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from cortex.errors import ConfigError, StageError
from cortex.limits import ANSWER_BYTES, read_json
from cortex.settings import Settings
from cortex.teaching.key_way import KEEP_PRIVATE, variable_laid_open
from cortex.urls import check_http_url

SECONDS = 10.0
"""Seconds to wait for an answer."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Does not follow redirects: urllib would send the login along, to whichever host they name."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


class MlflowError(StageError):
    """The server did not answer, or not as an MLflow server."""


class MlflowRefusedError(MlflowError):
    """The server does not let us in."""


class MlflowApi:
    """The REST API of the server that MLFLOW_TRACKING_URI names, with the login of MLflow's other variables."""

    def __init__(self, environment: Mapping[str, str], settings: Settings, seconds: float = SECONDS) -> None:
        """`seconds`: the time to wait for an answer.

        Raises:
            ConfigError: no server is named, or others could read the login on its way there.
        """
        try:
            self.url = check_http_url(environment.get("MLFLOW_TRACKING_URI", "")).rstrip("/")
        except ValueError as error:
            raise ConfigError(f"MLFLOW_TRACKING_URI: {error}") from error
        self._login, self._seconds = _login(environment), seconds
        fault = variable_laid_open("the login to MLflow", self.url, settings) if self._login else None
        if fault:
            raise ConfigError(f"MLFLOW_TRACKING_URI: {fault}: {KEEP_PRIVATE}")

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer to one call.

        Raises:
            MlflowRefusedError: the login is missing or not accepted.
            MlflowError: there is no answer, or not one of an MLflow server.
        """
        data = None if body is None else json.dumps(body).encode()
        answer = self._send(method, path, data, "application/json")
        try:
            found = read_json(answer, nan=True)
        except ValueError as error:
            raise MlflowError(f"{self.url} is no MLflow server: it answers {path} with no JSON ({error})") from error
        if not isinstance(found, dict):
            raise MlflowError(f"{self.url} is no MLflow server: it answers {path} with {str(found)[:80]!r}")
        return found

    def put(self, path: str, data: bytes) -> None:
        """Store a file on the server.

        Raises:
            MlflowError: as `ask`.
        """
        self._send("PUT", path, data, "application/octet-stream")

    def _send(self, method: str, path: str, data: bytes | None, kind: str) -> bytes:
        headers = {"Content-Type": kind, **self._login}
        request = urllib.request.Request(f"{self.url}/api/2.0/{path}", data, headers, method=method)
        try:
            with _OPENER.open(request, timeout=self._seconds) as answer:
                return answer.read(ANSWER_BYTES)
        except urllib.error.HTTPError as error:
            refusal = MlflowRefusedError if error.code in (401, 403) else MlflowError
            words = " ".join(error.read(300).decode(errors="replace").split())
            elsewhere = error.headers.get("Location") if 300 <= error.code < 400 else None
            fix = f"it points to {elsewhere[:200]!r}: name the server itself" if elsewhere else words
            raise refusal(f"{self.url} answers {error.code}: {fix}") from error
        except (OSError, ValueError, HTTPException) as error:
            raise MlflowError(f"{self.url}: {error}") from error


def _login(environment: Mapping[str, str]) -> dict[str, str]:
    """Headers that log in as MLflow's own client does: by token, or by name and password."""
    token, user = environment.get("MLFLOW_TRACKING_TOKEN"), environment.get("MLFLOW_TRACKING_USERNAME")
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user:
        words = f"{user}:{environment.get('MLFLOW_TRACKING_PASSWORD', '')}".encode()
        return {"Authorization": f"Basic {base64.b64encode(words).decode()}"}
    return {}
