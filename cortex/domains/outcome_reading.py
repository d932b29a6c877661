"""A domain's reading of outcomes that callers post back to a service, as truths of examples."""

import datetime as dt
from collections.abc import Mapping

from pydantic import JsonValue

from cortex.errors import DataError


class Outcomes:
    """Reader of a domain's outcomes. By default a domain takes none: thumbs and better replies need no truth."""

    timed: bool = False
    """True where the same question at another time may have another truth, as with prices: then no example may be
    trained on whose outcome was known only after the held-out questions begin."""
    only_judged: frozenset[str] = frozenset()
    """Columns that only held-out examples need, such as a known best forecast."""
    form: str = ""
    """The form of questions in words. Questions of another form are not put into the domain's datasets."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def truth(self, outcome: JsonValue) -> JsonValue:
        """The truth of an example, from the outcome that a caller posted.

        Raises:
            DataError: it is no outcome of this domain; the message says what one is.
        """
        raise DataError(f"{self._kind} takes no outcomes: post a thumb, or a better reply")

    def earliest(self, at: dt.datetime) -> dt.datetime:
        """The earliest time at which the outcome of a question of this time can be known."""
        return at

    def columns(self, values: Mapping[str, JsonValue], truth: JsonValue, known_at: dt.datetime) -> Mapping[str, object]:
        """Further columns of an example of the domain: `values` are those of the question as it was asked."""
        return values
