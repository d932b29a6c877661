"""Flipside's SDK as a client of pulls: its calls with time limits, and each of its errors as one sentence.

The SDK sends without a time limit, does not look at 402, and takes any answer that is not JSON for a fault of the
server. So its transport is replaced here by one that does; requests and answers are the SDK's own.
"""

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import requests
from flipside.errors.api_error import ApiError
from flipside.errors.base_error import BaseError
from flipside.flipside import Flipside
from flipside.integrations.query_integration.compass_query_integration import CompassQueryIntegration
from flipside.models.compass.core.tags import Tags
from flipside.models.compass.create_query_run import CreateQueryRunRpcParams
from flipside.rpc import RPC
from pydantic import BaseModel, ValidationError
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from cortex.domains.markets.account import quoted
from cortex.domains.markets.live.pull import PageTooLargeError, Ran, RunGoneError
from cortex.domains.markets.live.service_clock import check_clock
from cortex.domains.markets.live.statement import Statement
from cortex.errors import ConfigError, CortexError, DataError

Answer = TypeVar("Answer", bound=BaseModel)

SERVICE = "flipside"
_SECONDS = 120
"""Time limit of one request: a page of 10,000 rows may take that long to be put together."""
_RETRIES = 5
"""Attempts after a 429, a 5xx or a lost connection: half a minute in all, or as long as `Retry-After` says."""
_RESULT_HOURS = 24

_CODES = {
    -32000: "refuses the request as malformed: this kit and the service may have grown apart",
    -32100: "does not know the statement any more: run the same command again",
    -32150: "could not reach its own scheduler: try again later",
    -32152: "could not turn the result into rows: try again later",
    -32153: "does not give results in this form",
    -32154: "could not count the result's rows: try again later",
    -32161: "could not read its own result: try again later",
    -32163: "does not let this key run the query: use another key",
    -32164: "does not know the data source: the service may have changed",
    -32167: "does not know the data provider: the service may have changed",
    -32169: "keeps this to its administrators",
}
_GONE, _NOT_FINISHED, _TOO_LARGE, _TOO_MANY = -32099, -32151, -32170, -32171
_BUSY_SECONDS = 2.0


class _Transport(RPC):
    """The SDK's transport, with a time limit, and errors by their status."""

    @property
    def session(self) -> requests.Session:
        retry = Retry(
            total=_RETRIES,
            backoff_factor=0.5,
            status_forcelist=[429, 500, 502, 503, 504],
            allowed_methods=None,
            raise_on_status=False,
        )
        session = requests.Session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _TimedAdapter(max_retries=retry))
        return session

    def _handle_response(self, result: requests.Response, method: str) -> dict[str, Any]:
        status = result.status_code
        if status in (401, 403):
            raise ConfigError("flipside refuses the API key: set CORTEX_FLIPSIDE_API_KEY to one that is valid")
        if status == 402:
            raise ConfigError(
                "flipside asks for a payment method, or the plan's query-seconds are used up: settle it there, "
                "or take `kind: public`, which needs no account"
            )
        if status == 429:
            raise DataError("flipside still gets too many requests (429): wait some minutes, then run this again")
        if status != 200:
            raise DataError(f"flipside answers {method} with {status}: try again later")
        try:
            answer = result.json()
        except ValueError as error:
            raise DataError(
                f"flipside answers {method} with {quoted(result.text[:40])}, which is no JSON: the service may be "
                "gone, or a proxy answers in its place"
            ) from error
        if not isinstance(answer, dict) or not (answer.get("result") or answer.get("error")):
            raise DataError(f"flipside answers {method} with neither a result nor an error: try again later")
        check_clock(result.headers, SERVICE)
        return answer


class _TimedAdapter(HTTPAdapter):
    def send(self, request: Any, *arguments: Any, **options: Any) -> requests.Response:
        options["timeout"] = options.get("timeout") or _SECONDS
        return super().send(request, *arguments, **options)


class FlipsideClient:
    """A `PageClient`. Every error of the service, and of the way there, is a CortexError of one line."""

    def __init__(self, key: str, url: str | None = None, poll_seconds: float = 1.0, patience: float = 900) -> None:
        """`url` is for a local warehouse. `patience` bounds the seconds until a run is over or a place is free."""
        self._sdk = Flipside(key) if url is None else Flipside(key, url)
        self._sdk.rpc = _Transport(self._sdk.rpc._base_url, key)  # type: ignore[attr-defined]
        self._sdk.query_integration = CompassQueryIntegration(self._sdk.rpc)
        self._poll_seconds, self._patience = poll_seconds, patience

    def start(self, statement: Statement) -> str:
        asked = CreateQueryRunRpcParams(
            resultTTLHours=_RESULT_HOURS,
            maxAgeMinutes=0,
            sql=statement.text,
            tags=Tags(sdk_language="python", sdk_package="cortex", sdk_version="1"),
            dataSource="snowflake-default",
            dataProvider="flipside",
        )
        until = time.monotonic() + self._patience
        while True:
            answer = _call(lambda: self._sdk.rpc.create_query(asked))
            if answer.error is None and answer.result is not None:
                return answer.result.queryRun.id
            if answer.error is None or answer.error.code != _TOO_MANY or time.monotonic() > until:
                raise _refused(answer.error)
            time.sleep(max(self._poll_seconds, _BUSY_SECONDS * (self._poll_seconds >= 1)))

    def wait(self, run: str) -> Ran:
        until = time.monotonic() + self._patience
        while True:
            found = _call(lambda: self._sdk.get_query_run(run))
            if found.state == "QUERY_STATE_SUCCESS":
                return Ran(found.rowCount or 0, {"query-seconds": _seconds(found.startedAt, found.queryRunningEndedAt)})
            if found.state == "QUERY_STATE_FAILED":
                raise DataError(
                    f"flipside could not run the query: {found.errorName}: {' '.join(str(found.errorMessage).split())}"
                )
            if found.state == "QUERY_STATE_CANCELED":
                raise DataError("the query was cancelled at flipside: run the same command again")
            if time.monotonic() > until:
                raise DataError(f"flipside has not finished the query within {self._patience:.0f} s: try again later")
            time.sleep(self._poll_seconds)

    def page(self, run: str, number: int, size: int) -> Sequence[Mapping[str, Any]]:
        return _call(lambda: self._sdk.get_query_results(run, page_number=number, page_size=size)).records or []


def _call(request: Callable[[], Answer]) -> Answer:
    try:
        return request()
    except CortexError:
        raise
    except ApiError as error:
        raise _translated(str(error)) from error
    except BaseError as error:
        raise DataError(f"flipside: {' '.join(str(error).split())}") from error
    except (ValidationError, TypeError, AttributeError) as error:
        raise DataError(
            "flipside answers in another form than its SDK 2.1.0 expects: the service may have changed"
        ) from error
    except requests.RequestException as error:
        raise DataError(
            f"flipside cannot be reached ({type(error).__name__}): check the network; the service may be gone: "
            "then give the profile another domain.source"
        ) from error
    except Exception as error:  # the SDK raises bare exceptions, as for a run without times
        raise DataError(f"flipside's SDK gave up: {' '.join(str(error).split())}") from error


def _refused(error: Any) -> Exception:
    return _translated("" if error is None else f"{error.message}, code={error.code}")


def _translated(text: str) -> Exception:
    """The SDK's words end in `code=N`."""
    digits = text.rpartition("code=")[2].rstrip(")")
    code = int(digits) if digits.lstrip("-").isdigit() else 0
    if code == _TOO_LARGE:
        return PageTooLargeError()
    if code == _GONE:
        return RunGoneError()
    if code == _NOT_FINISHED:
        return DataError("flipside has no result yet: run the same command again")
    if code == _TOO_MANY:
        return DataError("flipside runs as many queries of this key as it may: wait for them, then run this again")
    words = _CODES.get(code) or f"answers with an error: {' '.join(text.split()) or 'without words'}"
    return (ConfigError if code in (-32163, -32169) else DataError)(f"flipside {words}")


def _seconds(first: str | None, last: str | None) -> float:
    if not first or not last:
        return 0.0
    return (dt.datetime.fromisoformat(last) - dt.datetime.fromisoformat(first)).total_seconds()
