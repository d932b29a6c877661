"""Verdict on a side after a fault, found by comparing its progress with an undisturbed training."""

from dataclasses import dataclass
from typing import Literal

from cortex.drill.attempts import Outcome
from cortex.drill.sides import Seen
from cortex.errors import RefusedError

Kind = Literal["same", "starts over", "silent", "crashes", "hangs", "refused"]


@dataclass(frozen=True)
class Reference:
    """The same training, undisturbed."""

    weights: str
    seen: Seen
    total: int


@dataclass(frozen=True)
class Finding:
    """Result of one side after one fault."""

    kind: Kind
    text: str
    resumed: int | None
    """The step from which the last attempt resumed."""
    lost: int | None
    """Steps made before the fault that had to be repeated; None where it never went on."""
    seconds: float | None
    """From its start to its first new step; None where it never made one."""


def judge(outcome: Outcome, reference: Reference, reached: int) -> Finding:
    """Judge an outcome. `reached` is the last step made before the fault."""
    last = outcome.last
    if last.code != 0:
        return _failed(outcome)
    seen, resumed = last.seen, last.seen.resumed
    lost = max(0, reached - resumed) if resumed is not None else None
    if outcome.weights == reference.weights:
        kind: Kind = "same" if resumed else "starts over"
        text = "same weights" if resumed else "starts over: same weights"
        if seen.last > reference.total:
            text = f"makes step {seen.last} of {reference.total}: {text}"
    else:
        kind, text = "silent", _silent(seen, reference)
    if any(attempt.code is None for attempt in outcome.attempts):
        kind = "hangs" if kind == "same" else kind
        text = f"hangs until somebody ends it, then {text}"
    if outcome.others:
        text = f"{text}; {_others(outcome.others)}"
    return Finding(kind, text, resumed, lost, outcome.seconds)


def _others(codes: list[int]) -> str:
    refused = all(code == RefusedError.exit_code for code in codes)
    return "the other instance was refused" if refused else "both wrote" if not any(codes) else "the other failed"


def _failed(outcome: Outcome) -> Finding:
    last = outcome.last
    if last.code == RefusedError.exit_code:
        return Finding("refused", "refused", None, None, None)
    again = ", again at every restart" if len(outcome.attempts) > 1 else ""
    return Finding("crashes", f"crashes: {last.error}{again}", None, None, None)


def _silent(seen: Seen, reference: Reference) -> str:
    if seen.last > reference.total:
        return f"makes step {seen.last} of {reference.total}: other weights"
    begun = "trains on silently from damaged state" if seen.resumed else "starts over, to other weights"
    return f"{begun} ({_difference(seen, reference.seen)})"


def _difference(seen: Seen, undisturbed: Seen) -> str:
    """The metric that differs at the first step with a difference, such as `loss 0.25 -> 7.62`."""
    for step in sorted(seen.steps):
        before, after = undisturbed.steps.get(step, {}), seen.steps[step]
        shown = [name for name in after if name in before and f"{before[name]:.3g}" != f"{after[name]:.3g}"]
        if shown:
            name = max(shown, key=lambda name: _apart(before[name], after[name]))
            at = "" if step == min(seen.steps) else f" at step {step}"
            return f"{name} {before[name]:.3g} -> {after[name]:.3g}{at}"
    return "its log is the same"


def _apart(one: float, other: float) -> float:
    """Relative difference of two numbers; rounding errors around zero count as almost nothing."""
    return abs(one - other) / max(abs(one), abs(other), 1e-4)
