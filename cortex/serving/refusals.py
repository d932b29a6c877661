"""Refusals of a gateway: a status code, and a message in the form of OpenAI's errors."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from cortex.text import harmless

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}


class Refusal(Exception):  # noqa: N818 - a reply, and no fault of the program
    """A request that is not answered. `retry_after` is in seconds."""

    def __init__(self, status: int, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.retry_after = status, message, retry_after

    def response(self) -> JSONResponse:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(error_body(self.status, self.message), self.status, headers)


def error_body(status: int, message: str) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    kind = _TYPES.get(status, "server_error")
    return {"error": {"message": harmless(message, limit=1000), "type": kind, "code": status}}


async def on_refusal(_: Request, error: Any) -> JSONResponse:
    return error.response()


async def on_invalid(_: Request, error: Any) -> JSONResponse:
    """The first thing that is wrong with a body, without the value, which may be long, secret or no JSON."""
    first: Mapping[str, Any] = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
    return Refusal(422, f"{place}: {first['msg']}").response()


async def on_http_error(_: Request, error: Any) -> JSONResponse:
    """Errors of the framework itself, such as an unknown path."""
    answer = JSONResponse(error_body(error.status_code, str(error.detail)), error.status_code)
    answer.headers.update(error.headers or {})
    return answer
