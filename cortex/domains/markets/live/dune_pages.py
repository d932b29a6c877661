"""Dune's client as a client of pulls: a saved query is run, and its result taken page by page."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import requests
from dune_client.client import DuneClient
from dune_client.models import DuneError, ExecutionState
from dune_client.query import QueryBase
from dune_client.types import QueryParameter

from cortex.domains.markets.account import quoted
from cortex.domains.markets.live.pull import PageTooLargeError, Ran, RunGoneError
from cortex.domains.markets.live.service_clock import check_clock
from cortex.domains.markets.live.statement import Statement
from cortex.errors import ConfigError, CortexError, DataError

Answer = TypeVar("Answer")

_SECONDS = 60.0


class DunePages:
    """A `PageClient` of one saved query. Every error of the service is a CortexError of one line."""

    def __init__(
        self,
        key: str,
        query: int,
        parameters: Mapping[str, str],
        url: str | None = None,
        poll_seconds: float = 2.0,
        patience: float = 1800,
    ) -> None:
        """`parameters` are the query's own, as text. `url` is for a local server."""
        given = {} if url is None else {"base_url": url}
        self._dune = DuneClient(key, request_timeout=_SECONDS, **given)
        self._dune.logger.setLevel("WARNING")
        self._dune.http.hooks["response"].append(self._check)
        self._query = QueryBase(query, params=[QueryParameter.text_type(*pair) for pair in parameters.items()])
        self._poll_seconds, self._patience = poll_seconds, patience
        self._credits = 0.0

    def start(self, statement: Statement) -> str:
        return self._call(lambda: self._dune.execute_query(self._query)).execution_id

    def wait(self, run: str) -> Ran:
        until = time.monotonic() + self._patience
        while True:
            found = self._call(lambda: self._dune.get_execution_status(run))
            if found.state == ExecutionState.COMPLETED:
                rows = 0 if found.result_metadata is None else found.result_metadata.total_row_count
                return Ran(rows, {"credits": self._credits})
            if found.state == ExecutionState.PARTIAL:
                raise DataError(
                    f"dune cut the result of query {self._query.query_id} off: ask for fewer days or columns"
                )
            if found.state == ExecutionState.EXPIRED:
                raise RunGoneError
            if found.state in ExecutionState.terminal_states():
                why = "was cancelled" if found.error is None else " ".join(found.error.message.split())
                raise DataError(f"dune could not run query {self._query.query_id}: {why}")
            if time.monotonic() > until:
                raise DataError(f"dune has not finished the query within {self._patience:.0f} s: try again later")
            time.sleep(self._poll_seconds)

    def page(self, run: str, number: int, size: int) -> Sequence[Mapping[str, Any]]:
        found = self._call(
            lambda: self._dune.get_execution_results(
                run, limit=size, offset=(number - 1) * size, allow_partial_results="false"
            )
        )
        return found.get_rows()

    def _check(self, answer: requests.Response, *_: Any, **__: Any) -> None:
        """Look at each answer's status and clock before the client does, and keep the credits that it counts."""
        status = answer.status_code
        if status in (401, 403):
            raise ConfigError("dune refuses the API key: set CORTEX_DUNE_API_KEY to one that may run the query")
        if status == 402:
            raise ConfigError(
                "dune's credits are used up, or the plan does not allow it: settle it there, "
                "or take `kind: public`, which needs no account"
            )
        if status == 404 and "/execution/" in answer.url:
            raise RunGoneError
        if status == 404:
            raise ConfigError(f"dune knows no query {self._query.query_id}: save one, and name its number")
        if status == 413:
            raise PageTooLargeError
        if status == 400:
            raise DataError(f"dune refuses the request: {quoted(answer.text)}")
        if status != 200:
            return  # the client asks again after 429 and 5xx
        check_clock(answer.headers, "dune")
        try:
            self._credits = float(answer.json().get("execution_cost_credits") or self._credits)
        except (ValueError, AttributeError, TypeError) as error:
            raise DataError(
                f"dune answers with {quoted(answer.text[:40])}, which is not its form: the service may have "
                "changed, or a proxy answers in its place"
            ) from error

    @staticmethod
    def _call(request: Callable[[], Answer]) -> Answer:
        try:
            return request()
        except (CortexError, PageTooLargeError, RunGoneError):
            raise
        except requests.exceptions.RetryError as error:
            raise DataError("dune still gets too many requests, or fails (429, 5xx): try again later") from error
        except requests.RequestException as error:
            raise DataError(f"dune cannot be reached ({type(error).__name__}): check the network") from error
        except DuneError as error:
            raise DataError(f"dune: {quoted(' '.join(str(error).split()))}") from error
        except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
            raise DataError(
                "dune answers in another form than its client knows: the service may have changed"
            ) from error
