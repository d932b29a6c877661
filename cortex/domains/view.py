"""A request and its answer for people: a form, and an answer in words, on a chart, and beside the model's record."""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from cortex.evaluation.confidence import Interval
from cortex.evaluation.record import Evaluated, Evaluation, label
from cortex.evaluation.verdict import MINIMUM_CLUSTERS


class _Shown(BaseModel):
    """A part of what is shown: immutable, and every number in it finite."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class FormField(_Shown):
    """One field of a request."""

    name: str
    """Its key in the request."""
    label: str
    kind: Literal["text", "line", "choice", "date", "time"]
    """A long text, a line of text, one of `choices`, a day as YYYY-MM-DD, or a time as YYYY-MM-DDTHH:MM:SSZ."""
    choices: tuple[str, ...] = ()
    limits: Mapping[str, tuple[str, str]] = {}
    """The first and the last value by that of the field `limited_by`."""
    limited_by: str | None = None
    hint: str = ""


class Fact(_Shown):
    """One value of an answer in words."""

    label: str
    value: str


class Point(_Shown):
    """One value of a chart's line."""

    time: dt.datetime
    label: str
    """The time as people name it."""
    value: float


class Ahead(_Shown):
    """The interval that an answer states for a time ahead, in the unit of the chart."""

    time: dt.datetime
    label: str
    low: float
    middle: float
    high: float


class Chart(_Shown):
    """A line of known values, and the interval ahead of it."""

    title: str
    values: str
    """Name of the values."""
    points: tuple[Point, ...]
    ahead: Ahead | None = None
    """None where the answer is held back."""


class Share(_Shown):
    """A share of the model's test answers; null where there are too few to say, or none was recorded."""

    title: str
    share: float | None = None
    interval: Interval | None = None
    examples: int = 0
    reason: str = ""
    """The reason for a share that is not stated."""


class View(_Shown):
    """An answer for people."""

    facts: tuple[Fact, ...] = ()
    chart: Chart | None = None
    remarks: tuple[str, ...] = ()
    """Sentences on how to take the answer."""
    shares: tuple[Share, ...] = ()


@dataclass(frozen=True)
class Judged:
    """The evaluation that an answer rests on."""

    evaluation: Evaluation
    name: str
    """The contender that answers: the trained model, or a copy that was judged for itself."""

    @property
    def evaluated(self) -> Evaluated:
        return self.evaluation.models[self.name]

    def remarks(self) -> tuple[str, ...]:
        """Sentences on how to take an answer of this model."""
        return ("The data are simulated: the answer says nothing of the real world.",) * self.evaluation.data.simulated

    def share(self, measure: str, title: str, contender: str | None = None) -> Share:
        """A measure of the model, or of another contender, as a share of all test examples."""
        evaluated = self.evaluation.contenders[contender or self.name]
        clusters = self.evaluation.data.clusters
        if clusters < MINIMUM_CLUSTERS:
            words = self.evaluation.words.clusters
            return Share(title=title, examples=evaluated.n, reason=too_few(evaluated.n, clusters, words))
        interval = evaluated.intervals.get(measure)
        return Share(title=title, share=evaluated.measures[measure], interval=interval, examples=evaluated.n)

    def shares(self) -> tuple[Share, ...]:
        """Every measure that is a share with an interval, beside the reference's."""
        reference = self.evaluation.words.reference
        return tuple(
            self.share(column.name, f"{column.title}{words}", contender)
            for column in self.evaluation.columns
            if column.form.endswith("%") and column.name in self.evaluated.intervals
            for contender, words in ((self.name, ", the model"), (reference, f", {label(reference)}"))
        )


def too_few(examples: int, clusters: int, words: str) -> str:
    """The reason why a share is not stated. `words` name the clusters."""
    return f"too few to say: {examples:,} answers of {clusters:,} {words}, of which {MINIMUM_CLUSTERS} are needed"


def fact(name: str, value: JsonValue) -> Fact:
    """A value by its name, as it is."""
    return Fact(label=label(name).capitalize(), value=value if isinstance(value, str) else json.dumps(value))
