"""A step of the road test, and its line in the table."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from scripts.roadtest.road import Road

State = Literal["passed", "FAILED", "not proven here", "not reached"]


@dataclass(frozen=True)
class Found:
    """The evidence that a step has found."""

    detail: str
    proven: bool = True
    """False where the step could not be tried here; `detail` then says why, and what would prove it. A step that was
    tried and failed raises an error instead."""


def unproven(reason: str) -> Found:
    """The result of a step that cannot be tried here."""
    return Found(reason, proven=False)


@dataclass(frozen=True)
class Step:
    """A trial of one thing that a run needs from an account."""

    name: str
    proves: str
    """Sentence that a pass proves."""
    do: "Callable[[Road], Found]"
    """Function that tries it. Raises CortexError where it fails."""
    seconds: float
    """Most seconds of the step, including the wait for a machine."""
    needs: tuple[str, ...] = ()
    """Steps that must have passed, or be impossible to try here."""
    dollars: float = 0.0
    """Most dollars of the step; 0 for a step that rents nothing."""
    capped: bool = False
    """True for the step that launches the main run, whose cost the profile's budget caps."""
    undone: str = ""
    """The way in which what it launches is ended; empty for a step that launches nothing."""
    always: bool = False
    """True for a step that is done whatever the others' results are, once anything was launched."""


@dataclass(frozen=True)
class Line:
    """Result of a step."""

    name: str
    proves: str
    state: State
    detail: str
    seconds: float
    dollars: float
    """Increase of the ledgers' costs during the step."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def passed(lines: Sequence[Line]) -> bool:
    """True where no step failed, and none was left out because another failed."""
    return bool(lines) and all(line.state in ("passed", "not proven here") for line in lines)


def chosen(steps: Sequence[Step], names: Sequence[str]) -> list[Step]:
    """The named steps (default: all), with the steps that they need, and those that are always done."""
    known = {step.name: step for step in steps}
    wanted, open_names = set[str](), [*(names or known)]
    while open_names:
        name = open_names.pop()
        if name not in wanted:
            wanted.add(name)
            open_names += known[name].needs
    return [step for step in steps if step.name in wanted or step.always]
