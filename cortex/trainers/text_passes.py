"""The forward passes of a pretraining in order, over all its phases, and the state of the stream after each step."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cortex.trainers.text_stream import Mixture, State

KEPT = 4
"""Steps whose states are kept. Accelerate reads one pass ahead, and a step's passes are read before it is made."""


@dataclass(frozen=True)
class PhasePasses:
    """A phase as the trainer reads it."""

    name: str
    steps: int
    rate: float
    """Learning rate at its beginning."""
    rows: int
    """Sequences of a pass."""
    length: int
    """Tokens of a sequence."""
    mixture: Callable[[], Mixture]


class Passes:
    """Iterates over the passes: each a list of sequences of one length. `passes` of them make an optimizer step."""

    def __init__(self, phases: Sequence[PhasePasses], passes: int, state: State | None = None) -> None:
        self._phases, self._passes = phases, passes
        begun = state or {"phase": 0, "step": 0, "mixture": None, "read": []}
        self._phase, self._step, self._mixture = begun["phase"], begun["step"], begun["mixture"]
        self._read: list[Mapping[str, Any]] = list(begun["read"])
        self._states: dict[int, State] = {}

    def __iter__(self) -> Iterator[list[list[int]]]:
        begun = sum(phase.steps for phase in self._phases[: self._phase])
        for number in range(self._phase, len(self._phases)):
            phase = self._phases[number]
            mixture = phase.mixture()
            if self._mixture:
                mixture.load(self._mixture)
            first, self._step, self._mixture = self._step, 0, None
            for step in range(first, phase.steps):
                for done in range(self._passes):
                    left = (phase.steps - step) * self._passes - done
                    needed = left * phase.rows * phase.length
                    sequences = [mixture.next(needed - row * phase.length) for row in range(phase.rows)]
                    if done == self._passes - 1:
                        self._keep(begun + step + 1, number, step + 1, mixture)
                    yield sequences
            self._read.append({"phase": phase.name, "sources": mixture.account()})
            begun += phase.steps

    def state(self, step: int) -> State:
        """The state of the stream after one of the newest steps, as JSON values."""
        return self._states[step]

    @property
    def read(self) -> list[Mapping[str, Any]]:
        """The tokens that were read of each source, by phase: complete once all passes were read."""
        return self._read

    def _keep(self, step: int, phase: int, within: int, mixture: Mixture) -> None:
        if within == self._phases[phase].steps and phase + 1 < len(self._phases):
            done = {"phase": self._phases[phase].name, "sources": mixture.account()}
            state: State = {"phase": phase + 1, "step": 0, "mixture": None, "read": [*self._read, done]}
        else:
            state = {"phase": phase, "step": within, "mixture": mixture.state(), "read": list(self._read)}
        self._states[step] = state
        self._states.pop(step - KEPT, None)


@dataclass(frozen=True)
class Rates:
    """The learning rate of each step."""

    phases: Sequence[tuple[int, float]]
    """Each phase's steps, and the rate at its beginning."""
    scheduler: Literal["linear", "cosine", "constant_with_warmup"]
    warmup: int
    """Steps in which the rate rises from nothing, at the very beginning."""
    final: float
    """The rate at the end, as a share of the last phase's."""

    def at(self, step: int) -> float:
        """The rate of a step, counted from 0. It declines without a jump, to the rate at which the next phase begins:
        a rate that rose again would undo part of what the decline before had settled."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        begun = 0
        for number, (steps, rate) in enumerate(self.phases):
            if step < begun + steps or number == len(self.phases) - 1:
                ending = self.phases[number + 1][1] if number + 1 < len(self.phases) else rate * self.final
                return warm * self._between(rate, ending, min(1.0, (step - begun) / steps))
            begun += steps
        raise ValueError("no phases")

    def _between(self, rate: float, ending: float, share: float) -> float:
        if self.scheduler == "cosine":
            return ending + (rate - ending) * (1 + math.cos(math.pi * share)) / 2
        return rate if self.scheduler == "constant_with_warmup" else rate + (ending - rate) * share
