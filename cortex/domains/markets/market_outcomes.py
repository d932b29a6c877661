"""Outcomes of forecasts that callers post back: the realised return, or the two closes that it lies between."""

import datetime as dt
import math
from collections.abc import Mapping

from pydantic import Field, JsonValue, ValidationError

from cortex.domains.markets.config import DataConfig, Style
from cortex.domains.markets.examples import ORACLE
from cortex.domains.markets.protocol import LARGEST_PCT
from cortex.domains.outcome_reading import Outcomes
from cortex.errors import DataError
from cortex.section import Section


class Realised(Section):
    """A realised return, as posted."""

    return_pct: float | None = Field(default=None, gt=-100, le=LARGEST_PCT)
    """The return over the horizon, in percent."""
    close_before: float | None = Field(default=None, gt=0)
    """In place of it: the close at the decision, ..."""
    close: float | None = Field(default=None, gt=0)
    """... and the close at the horizon's end."""

    def as_fraction(self) -> float:
        """The return as a fraction.

        Raises:
            DataError: neither a return nor two closes are given, or both.
        """
        closes = (self.close_before, self.close)
        if self.return_pct is not None and closes == (None, None):
            return self.return_pct / 100
        if self.return_pct is None and self.close_before is not None and self.close is not None:
            change = self.close / self.close_before - 1
            if math.isfinite(change) and change * 100 <= LARGEST_PCT:
                return change
        raise DataError(_FORM)


_FORM = 'an outcome is {"return_pct": 1.5}, the return in percent, or {"close_before": 2.0, "close": 2.03}'


class MarketOutcomes(Outcomes):
    """Reader of a market's outcomes: a truth is the return as a fraction."""

    timed = True
    only_judged = frozenset(ORACLE)

    def __init__(self, config: DataConfig, style: Style) -> None:
        super().__init__("markets")
        self._horizon = config.horizon
        self.form = f"{style} prompts, horizon {config.horizon.words(config.bar)}"

    def truth(self, outcome: JsonValue) -> JsonValue:
        try:
            return Realised.model_validate(outcome).as_fraction()
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise DataError(f"{f'{place}: ' if place else ''}{first['msg']}: {_FORM}") from error

    def earliest(self, at: dt.datetime) -> dt.datetime:
        # In bars of a symbol's own history the end of a horizon is not known here: later than the decision at least.
        return at + dt.timedelta(days=self._horizon.count) if self._horizon.unit == "days" else at

    def columns(self, values: Mapping[str, JsonValue], truth: JsonValue, known_at: dt.datetime) -> Mapping[str, object]:
        return {**values, "outcome": truth, "outcome_time": known_at}
