"""A step of the road test, and the line that the table has of it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from scripts.roadtest.road import Road

State = Literal["passed", "FAILED", "not proven here", "not reached"]


@dataclass(frozen=True)
class Found:
    """The evidence that a step saw."""

    detail: str
    proven: bool = True
    """False where it could not be tried here; `detail` then says why, and what would prove it. A step that was tried,
    and did not show what it is to show, raises an error instead."""


def unproven(reason: str) -> Found:
    """What a step says that cannot be tried here."""
    return Found(reason, proven=False)


@dataclass(frozen=True)
class Step:
    """Something that a run needs of an account, tried once."""

    name: str
    proves: str
    """In a sentence."""
    do: "Callable[[Road], Found]"
    """Tries it. Raises CortexError where it does not do."""
    seconds: float
    """How long it may take, the waiting for a machine included."""
    needs: tuple[str, ...] = ()
    """Steps that must have passed, or have been found not to be tried here."""
    dollars: float = 0.0
    """What it may cost at most; 0 for one that only looks."""
    capped: bool = False
    """True for the one that begins what the profile's budget caps."""
    undone: str = ""
    """How what it begins is ended; empty for one that begins nothing."""
    always: bool = False
    """True for what is done however the others went, once anything was begun."""


@dataclass(frozen=True)
class Line:
    """How a step went."""

    name: str
    proves: str
    state: State
    detail: str
    seconds: float
    dollars: float
    """What the ledgers of its runs gained meanwhile."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def passed(lines: Sequence[Line]) -> bool:
    """True where nothing failed, and nothing was left out because something else did."""
    return bool(lines) and all(line.state in ("passed", "not proven here") for line in lines)


def chosen(steps: Sequence[Step], names: Sequence[str]) -> list[Step]:
    """The steps of these names, all by default, with those that they need, and those that are always done."""
    known = {step.name: step for step in steps}
    wanted, open_names = set[str](), [*(names or known)]
    while open_names:
        name = open_names.pop()
        if name not in wanted:
            wanted.add(name)
            open_names += known[name].needs
    return [step for step in steps if step.name in wanted or step.always]
