"""The tools that a question may use, and their limits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cortex.domains.episode import Episode
from cortex.domains.question import Message
from cortex.domains.tools.calculation import calculate
from cortex.domains.tools.made_world import World
from cortex.domains.tools.tool_calls import Call, CallError, Style, has_call, read_calls

ToolName = Literal["calculator", "search", "price", "trading_days", "sql"]

ERROR = "error: "
"""The beginning of what a model is told of a mistake."""


@dataclass(frozen=True)
class Tool:
    """One tool."""

    parameters: tuple[str, ...]
    about: str
    """Its description, for a model."""
    run: Callable[[World, str, dict[str, str]], str]
    """Takes the world, today and the arguments; returns the answer. Raises CallError for a mistake."""


TOOLS: dict[ToolName, Tool] = {
    "calculator": Tool(
        ("expression",),
        "The value of an arithmetic expression with + - * / // % ** and parentheses.",
        lambda _, __, given: calculate(given["expression"]),
    ),
    "search": Tool(
        ("query",),
        "The sentence of the corpus that fits the words of the query best.",
        lambda world, _, given: world.search.find(given["query"], 1)[0],
    ),
    "price": Tool(
        ("symbol", "day"),
        "The closing price of a symbol on a day, no later than today.",
        lambda world, today, given: world.prices.close(given["symbol"], given["day"], today),
    ),
    "trading_days": Tool(
        ("first", "last"),
        "The number of days with trading from the first day to the last, both included, no later than today.",
        lambda world, today, given: world.prices.trading_days(given["first"], given["last"], today),
    ),
    "sql": Tool(
        ("query",),
        "The rows of a SELECT over the table boxes(color, size, shape), by SQLite.",
        lambda world, _, given: world.base.query(given["query"]),
    ),
}


@dataclass(frozen=True)
class Toolbox:
    """Some tools over a world, as they are on a day."""

    world: World
    tools: Sequence[ToolName]
    style: Style
    today: str
    longest: int
    """Characters of an answer; the rest is cut off."""

    def run(self, call: Call) -> str:
        """The answer to a call: whatever goes wrong, it is one line that begins with `error: `, and harms nothing."""
        tool = next((TOOLS[name] for name in self.tools if name == call.tool), None)
        try:
            if tool is None:
                raise CallError(f"there is no tool {call.tool[:30]}")
            return self._cut(tool.run(self.world, self.today, dict(call.arguments)))
        except CallError as error:
            return self.mistake(error)
        except Exception:  # a model's text reaches every corner of a tool, and must not end a training
            return self.mistake(CallError(f"{call.tool} failed"))

    def mistake(self, error: CallError) -> str:
        """A mistake as the model is told it."""
        return self._cut(f"{ERROR}{' '.join(str(error).split())}")

    def _cut(self, text: str) -> str:
        return text if len(text) <= self.longest else f"{text[: self.longest]} (cut)"


class ToolUse(Episode):
    """Answers the calls of each reply, until a reply has none, or the calls are used up."""

    def __init__(self, toolbox: Toolbox, most_rounds: int) -> None:
        self._toolbox, self._left = toolbox, most_rounds
        self._parameters = {name: TOOLS[name].parameters for name in toolbox.tools}

    def step(self, reply: str) -> tuple[Message, ...] | None:
        if self._left == 0 or not has_call(reply, self._toolbox.style):
            return None
        self._left -= 1
        calls = read_calls(reply, self._toolbox.style, self._parameters)
        told = [
            self._toolbox.mistake(call) if isinstance(call, CallError) else self._toolbox.run(call) for call in calls
        ]
        return (Message("tool", "\n".join(told)),)
