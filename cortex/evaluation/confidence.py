"""The 95% interval of a figure, and the class of all parts of an evaluation's record."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A part of the record: immutable, and every number in it finite."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Interval(Record):
    """A 95% interval."""

    low: float
    high: float
