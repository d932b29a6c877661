"""The record of a judge's comparison of two contenders, and its words."""

from cortex.evaluation.record import Interval, Record


class Preference(Record):
    """One criterion, or all together."""

    criterion: str
    first: float
    """Share of the pairs in which the first contender is preferred, whichever was shown first."""
    second: float
    difference: float
    """`first` less `second`."""
    interval: Interval | None
    """Of the difference, at the record's `level`; null where there are too few questions."""

    @property
    def is_decided(self) -> bool:
        return self.interval is not None and (self.interval.low > 0 or self.interval.high < 0)


class Position(Record):
    """The judge's lean towards a place, whichever answer stands there. Each pair is shown in both orders."""

    lean: float
    """Share of choices for the answer shown first less that for the one shown second; 0 has no lean."""
    interval: Interval | None
    """95%."""
    flips: int
    """Pairs in which both orders gave the same place, so that the order decided."""
    sided: int
    """Pairs in which both orders gave a place."""


class RubricRecord(Record):
    """A judge's comparison."""

    judge: str
    first: str
    second: str
    pairs: int
    readable: int
    """Pairs of which both replies could be read."""
    position: Position | None
    """Null where no pair could be read."""
    refusal: str | None
    """The reason why there is no verdict."""
    level: float
    preferences: list[Preference]
    """Empty where there is no verdict."""
    requests: int
    tokens: int
    dollars: str | None
    """Cost of the judge's replies; null without a price."""

    def sentences(self) -> list[str]:
        """The refusal, or a sentence for each criterion whose interval decides; none for any other."""
        if self.refusal:
            return [self.refusal]
        return [self._sentence(one) for one in self.preferences if one.is_decided]

    def _sentence(self, one: Preference) -> str:
        assert one.interval
        better, other = (self.first, self.second) if one.difference > 0 else (self.second, self.first)
        less, more = sorted((one.first, one.second))
        points, low, high = (100 * value for value in (one.difference, one.interval.low, one.interval.high))
        return (
            f"{one.criterion}: the judge prefers {better} to {other}, in {more:.0%} of {self.readable:,} pairs against "
            f"{less:.0%} (difference {points:+.1f} points, interval {low:+.1f} to {high:+.1f})."
        )
