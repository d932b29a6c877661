"""Chapters of an evaluation: what one analysis found, as sentences, tables and charts that any page can draw."""

from pydantic import Field

from cortex.evaluation.confidence import Interval, Record


class Cell(Record):
    """One figure of a table, or a few words in its place."""

    value: float | None = None
    interval: Interval | None = None
    """The 95% interval of `value`."""
    text: str = ""
    """Words to show where there is no value."""


class Heading(Record):
    """A column of a table."""

    title: str
    form: str = "z.3f"
    """A format specification of the column's values, such as `.1%`."""


class Row(Record):
    name: str
    cells: list[Cell]
    """One for each heading."""
    is_judged: bool = False
    """Row of the model that the verdict is about."""


class Table(Record):
    title: str
    note: str = ""
    """A sentence on how to read the table."""
    headings: list[Heading]
    rows: list[Row]


class Line(Record):
    """A line of N points, with a band around it if `low` and `high` have N numbers, too."""

    name: str
    x: list[float]
    """Numbers; seconds since 1970 where the chart's x axis is time."""
    y: list[float]
    low: list[float] = Field(default_factory=list[float])
    high: list[float] = Field(default_factory=list[float])
    has_marks: bool = False
    """Points are marked, and not only joined."""


class Chart(Record):
    title: str
    note: str
    """A sentence on how to read the chart."""
    x_title: str
    y_title: str
    x_form: str = "g"
    y_form: str = "g"
    """Format specifications of the axes' numbers, such as `.0%`."""
    x_is_time: bool = False
    has_diagonal: bool = False
    """A line where x equals y, to compare with."""
    level: float | None = None
    """A horizontal line to compare with."""
    lines: list[Line]


class Chapter(Record):
    """The findings of one analysis."""

    name: str
    """A short name, unique among the evaluation's chapters, for links and for other programs."""
    title: str
    sentences: list[str]
    """The findings in words, the most important one first."""
    tables: list[Table] = Field(default_factory=list[Table])
    charts: list[Chart] = Field(default_factory=list[Chart])
