"""A database in memory that answers one SELECT at a time, by SQLite, and can be neither changed nor kept busy.

Limits count SQLite's own steps in place of seconds, so that a query is answered alike on every machine.
"""

import sqlite3
from collections.abc import Sequence

from cortex.domains.tools.tool_calls import CallError

MOST_STEPS = 200_000
"""Instructions of SQLite's machine that a query may take, some milliseconds."""
MOST_ROWS = 20
"""Rows of an answer; further ones are only mentioned."""
LONGEST_QUERY = 500
"""Characters of a query."""
LONGEST_VALUE = 10_000
"""Bytes of any value that a query makes on its way."""

_EVERY = 1000
_FUNCTIONS = frozenset(
    {"abs", "avg", "coalesce", "count", "ifnull", "length", "like", "lower", "max", "min", "nullif", "round"}
    | {"substr", "sum", "total", "trim", "upper"}
)
"""Functions that a query may call. None depends on the time or on chance, and none reads a file."""


class SqlSandbox:
    """Tables that queries can read."""

    def __init__(self, tables: Sequence[tuple[str, Sequence[str], Sequence[tuple[str | int, ...]]]]) -> None:
        """`tables` have a name, the names of their columns, and rows."""
        self._base = sqlite3.connect(":memory:", check_same_thread=False)
        for name, columns, rows in tables:
            self._base.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
            self._base.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", rows)
        self._base.commit()
        self._base.execute("PRAGMA query_only = ON")
        self._base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)
        self._base.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, 4 * LONGEST_QUERY)
        self._base.setlimit(sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 50)
        self._base.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        self._base.set_authorizer(_authorize)

    def query(self, query: str) -> str:
        """The rows of a query, a line each, values apart by commas.

        Raises:
            CallError: it is no SELECT that the sandbox allows, is wrong, or takes too many steps.
        """
        if len(query) > LONGEST_QUERY:
            raise CallError(f"a query has at most {LONGEST_QUERY} characters")
        left = MOST_STEPS // _EVERY

        def count_down() -> bool:
            nonlocal left
            left -= 1
            return left < 0  # true interrupts the query

        self._base.set_progress_handler(count_down, _EVERY)
        try:
            rows = self._base.execute(query).fetchmany(MOST_ROWS + 1)
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            raise CallError(_fault(str(error))) from None
        finally:
            self._base.set_progress_handler(None, 0)
        lines = [", ".join("null" if value is None else str(value) for value in row) for row in rows[:MOST_ROWS]]
        return "\n".join([*lines, *(["and more rows"] if len(rows) > MOST_ROWS else [])]) or "no rows"


def _fault(message: str) -> str:
    if message == "interrupted":
        return "the query takes too many steps"
    return "only a SELECT is allowed" if message == "not authorized" else message


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    allowed = action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ) or (
        action == sqlite3.SQLITE_FUNCTION and str(second).lower() in _FUNCTIONS
    )
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
