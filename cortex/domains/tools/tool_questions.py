"""The kinds of questions: their words, the calls that answer them, and how they are drawn."""

import random
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from cortex.domains.tools.made_world import COLORS, DEEDS, NAMES, SHAPES, SIZES, World
from cortex.domains.tools.tool_calls import Call, Style
from cortex.domains.tools.toolbox import ERROR, ToolName

KindName = Literal["calculator", "search", "price", "change", "trading_days", "sql"]

UNKNOWN = "unknown"
"""The right answer where the tools give none, as for a day after today."""

Values = Mapping[str, str]


class Kind(ABC):
    """One kind of question, with the values that fill its words."""

    tool: ClassVar[ToolName]
    """The tool that it needs."""
    words: ClassVar[Mapping[Style, str]]

    @abstractmethod
    def draw(self, rng: random.Random, world: World) -> Values:
        """The values of a new question."""

    @abstractmethod
    def call(self, values: Values, results: Sequence[str]) -> Call | None:
        """The next call, given the results so far; None where they hold the answer."""

    def write(self, values: Values, style: Style) -> str:
        return self.words[style].format(**values)

    def read(self, text: str, style: Style) -> Values | None:
        """The values in a question; None where it is of another kind."""
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+?)", re.escape(self.words[style]))
        found = re.fullmatch(pattern, text)
        return found.groupdict() if found else None

    def answer(self, values: Values, results: Sequence[str]) -> str:
        """The answer that the results hold."""
        del values
        return UNKNOWN if not results or results[-1].startswith(ERROR) else results[-1]


class Arithmetic(Kind):
    tool = "calculator"
    words: ClassVar[Mapping[Style, str]] = {"compact": "calc {expression}", "full": "What is {expression}?"}

    def draw(self, rng: random.Random, world: World) -> Values:
        first, second = sorted((rng.randint(10, 99), rng.randint(10, 99)), reverse=True)
        return {"expression": f"{first} {rng.choice('+-')} {second}"}

    def call(self, values: Values, results: Sequence[str]) -> Call | None:
        return None if results else Call("calculator", {"expression": values["expression"]})


class Whereabouts(Kind):
    tool = "search"
    words: ClassVar[Mapping[Style, str]] = {
        "compact": "find {name} {deed}",
        "full": "In which town is it that {name} {deed}?",
    }

    def draw(self, rng: random.Random, world: World) -> Values:
        return {"name": rng.choice(NAMES), "deed": rng.choice(DEEDS)}

    def call(self, values: Values, results: Sequence[str]) -> Call | None:
        return None if results else Call("search", {"query": f"{values['name']} {values['deed']}"})

    def answer(self, values: Values, results: Sequence[str]) -> str:
        return super().answer(values, results).split()[0]


class Price(Kind):
    tool = "price"
    words: ClassVar[Mapping[Style, str]] = {
        "compact": "price {symbol} {day} today {today}",
        "full": "Today is {today}. What was the close of {symbol} on {day}?",
    }

    def draw(self, rng: random.Random, world: World) -> Values:
        days = [at for at, is_open in enumerate(world.prices.open) if is_open]
        at, today = rng.choice(days), rng.choice(days)
        if at > today and rng.random() < 0.8:  # some are left that nobody can know yet
            at, today = today, at
        names = world.prices.days
        return {"symbol": rng.choice(list(world.prices.closes)), "day": names[at], "today": names[today]}

    def call(self, values: Values, results: Sequence[str]) -> Call | None:
        return None if results else Call("price", {"symbol": values["symbol"], "day": values["day"]})


class Change(Kind):
    """The difference of two closes: two look-ups, and a calculation."""

    tool = "price"
    words: ClassVar[Mapping[Style, str]] = {
        "compact": "change {symbol} {first} {last} today {today}",
        "full": "Today is {today}. How much higher is the close of {symbol} on {last} than on {first}?",
    }

    def draw(self, rng: random.Random, world: World) -> Values:
        days = [at for at, is_open in enumerate(world.prices.open) if is_open]
        first, last, today = (world.prices.days[at] for at in sorted(rng.sample(days, 3)))
        return {"symbol": rng.choice(list(world.prices.closes)), "first": first, "last": last, "today": today}

    def call(self, values: Values, results: Sequence[str]) -> Call | None:
        if any(result.startswith(ERROR) for result in results) or len(results) == 3:
            return None
        if len(results) == 2:
            return Call("calculator", {"expression": f"{results[1]} - {results[0]}"})
        return Call("price", {"symbol": values["symbol"], "day": values["last" if results else "first"]})


class TradingDays(Kind):
    tool = "trading_days"
    words: ClassVar[Mapping[Style, str]] = {
        "compact": "days {first} {last} today {today}",
        "full": "Today is {today}. How many days with trading are there from {first} to {last}, both included?",
    }

    def draw(self, rng: random.Random, world: World) -> Values:
        first, last, today = sorted(rng.sample(range(len(world.prices.days)), 3))
        names = world.prices.days
        return {"first": names[first], "last": names[last], "today": names[today]}

    def call(self, values: Values, results: Sequence[str]) -> Call | None:
        return None if results else Call("trading_days", {name: values[name] for name in ("first", "last")})


class Boxes(Kind):
    tool = "sql"
    words: ClassVar[Mapping[Style, str]] = {
        "compact": "count {color} {size} {shape}",
        "full": "How many boxes are {color}, of size {size}, and have the shape {shape}?",
    }

    def draw(self, rng: random.Random, world: World) -> Values:
        return {"color": rng.choice(COLORS), "size": str(rng.choice(SIZES)), "shape": rng.choice(SHAPES)}

    def call(self, values: Values, results: Sequence[str]) -> Call | None:
        if results:
            return None
        wanted = f"color = '{values['color']}' and size = {values['size']} and shape = '{values['shape']}'"
        return Call("sql", {"query": f"select count(*) from boxes where {wanted}"})


KINDS: dict[KindName, Kind] = {
    "calculator": Arithmetic(),
    "search": Whereabouts(),
    "price": Price(),
    "change": Change(),
    "trading_days": TradingDays(),
    "sql": Boxes(),
}
"""The kinds by the names that profiles give them."""


@dataclass(frozen=True)
class Asked:
    """A question as it was read from its text."""

    kind: KindName
    values: Values

    def call(self, results: Sequence[str]) -> Call | None:
        return KINDS[self.kind].call(self.values, results)

    def answer(self, results: Sequence[str]) -> str:
        return KINDS[self.kind].answer(self.values, results)


def read_question(text: str, style: Style) -> Asked | None:
    """The kind and values of a question; None where it is of no kind."""
    for name, kind in KINDS.items():
        values = kind.read(text, style)
        if values is not None:
            return Asked(name, values)
    return None


def today_of(text: str, style: Style, world: World) -> str:
    """The day of a question: what it says, or the last that the world knows."""
    found = re.search(r"today (\S+)" if style == "compact" else r"Today is ([\d-]+)", text)
    return found[1] if found and found[1] in world.prices.days else world.prices.days[-1]
