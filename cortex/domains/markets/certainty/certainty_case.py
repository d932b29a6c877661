"""Forecasts as gates see them: one contender's, beside its rivals', and the market that they are about."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from cortex.domains.markets.certainty.walk_forward import Rows, Step, Times, walk
from cortex.domains.markets.examples import feature_names
from cortex.evaluation.grades import Bools, Floats, Grades
from cortex.evaluation.measure import REFERENCE_LOSS
from cortex.evaluation.study import Study

UNATTAINABLE = ("oracle",)
"""Baselines that know the best possible forecast of a simulated market: no rival, and no member of an ensemble."""

TRAINING_ROWS = 4000
"""Rows of the end of the training split that gates are fitted on: the nearest to the test period."""


@dataclass(frozen=True, eq=False)
class Market:
    """The N test examples, which are the same for every contender, and the end of the training split (M rows)."""

    at: Times
    """Times of the decisions (N)."""
    known_at: Times
    """Times at which the outcomes became known (N)."""
    date: Rows
    """Index of each decision's date, in the order of time (N)."""
    symbol: Rows
    """Index of each example's symbol (N)."""
    outcome: Floats
    """Returns that followed, as fractions (N)."""
    features: Floats
    """Features known at the decisions (N x F)."""
    names: tuple[str, ...]
    """Names of the F features."""
    train_at: Times
    train_outcome: Floats
    train_features: Floats
    span: int
    """Maximum number of consecutive dates that share an outcome."""
    seed: int
    steps: tuple[Step, ...]

    @classmethod
    def read(cls, study: Study, train: pl.DataFrame, test: pl.DataFrame) -> "Market":
        names, last = tuple(feature_names(test)), train.sort("at").tail(TRAINING_ROWS)
        at, known_at = _micros(test["at"]), _micros(test["outcome_time"])
        _, date = np.unique(at, return_inverse=True)
        _, symbol = np.unique(test["symbol"].to_numpy(), return_inverse=True)
        return cls(
            at,
            known_at,
            date.astype(np.intp),
            symbol.astype(np.intp),
            test["outcome"].to_numpy(),
            test.select(names).to_numpy().astype(np.float64),
            names,
            _micros(last["at"]),
            last["outcome"].to_numpy(),
            last.select(names).to_numpy().astype(np.float64),
            study.clusters.span,
            study.seed,
            walk(at, known_at),
        )

    def __len__(self) -> int:
        return len(self.at)

    def daily(self, values: Floats, rows: Rows) -> Floats:
        """The mean of the values (N) at each date of some rows, in the order of the dates."""
        return by_group(values[rows], self.date[rows])

    def column(self, name: str) -> Floats | None:
        """A feature (N); None where the examples have none of this name."""
        return self.features[:, self.names.index(name)] if name in self.names else None


@dataclass(frozen=True, eq=False)
class Case:
    """The forecasts of one contender, each field an array of length N. Returns are fractions."""

    name: str
    market: Market
    p_up: Floats
    expected: Floats
    low: Floats
    high: Floats
    loss: Floats
    reference: Floats
    """Losses of the baseline that skill is measured against."""
    valid: Bools
    """The forecast could be read; any other is an abstention of the model's own, and no gate decides about it."""
    rivals: Mapping[str, "Case"] = field(default_factory=dict[str, "Case"])
    """Every contender by name, this one among them, without those that no forecaster could match."""

    @property
    def edge(self) -> Floats:
        """The reference's loss less the contender's: above 0 where the forecast was worth something (N)."""
        return self.reference - self.loss

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.market.steps

    def no_decision(self) -> Bools:
        """An array to write each step's decisions into (N)."""
        return np.zeros(len(self.loss), dtype=np.bool_)


def read_cases(study: Study, market: Market) -> dict[str, Case]:
    """The case of every contender, which all know one another's forecasts."""
    rivals: dict[str, Case] = {}
    cases = {name: _case(name, market, grades, rivals) for name, grades in study.contenders.items()}
    rivals.update({name: case for name, case in cases.items() if name not in UNATTAINABLE})
    return cases


def _case(name: str, market: Market, grades: Grades, rivals: Mapping[str, Case]) -> Case:
    p_up, expected, low, high = (grades.values(number) for number in ("p_up", "expected_return", "low", "high"))
    reference = grades.values(REFERENCE_LOSS)
    return Case(name, market, p_up, expected, low, high, grades.loss, reference, grades.valid, rivals)


def by_group(values: Floats, group: Rows) -> Floats:
    """The mean of the values of each group, in the order of the groups."""
    _, of = np.unique(group, return_inverse=True)
    return np.bincount(of, weights=values) / np.bincount(of)


def _micros(times: pl.Series) -> Times:
    return times.dt.epoch("us").to_numpy()
