import pytest

from cortex.drill.attempts import Attempt, Outcome
from cortex.drill.side_verdict import Kind, Reference, judge
from cortex.drill.sides import Seen

LOSSES = {step: {"loss": 1 / step, "grad_norm": 2.0} for step in range(1, 8)}
REFERENCE = Reference("right", Seen(0, 0.0, LOSSES, 7), total=7)


def seen(resumed: int, last: int = 7, first: float = 103.0, **values: float) -> Seen:
    steps = {step: LOSSES.get(step, {}) | values for step in range(resumed + 1, last + 1)}
    return Seen(resumed, first, steps, last)


def outcome(last: Seen, weights: str | None = "right", *, failed: tuple[int | None, ...] = ()) -> Outcome:
    attempts = [Attempt(code, 100.0, Seen(), "OSError" if code else None) for code in failed]
    return Outcome([*attempts, Attempt(0, 101.0, last, None)], weights)


@pytest.mark.parametrize(
    ("found", "kind", "text", "lost"),
    [
        (outcome(seen(4)), "same", "same weights", 1),
        (outcome(seen(2)), "same", "same weights", 3),
        (outcome(seen(0)), "starts over", "starts over: same weights", 5),
        (outcome(seen(7, 8)), "same", "makes step 8 of 7: same weights", 0),
        (outcome(seen(7, 8), "wrong"), "silent", "makes step 8 of 7: other weights", 0),
        (
            outcome(seen(4, loss=7.62), "wrong"),
            "silent",
            "trains on silently from damaged state (loss 0.2 -> 7.62)",
            1,
        ),
        (outcome(seen(4), "wrong"), "silent", "trains on silently from damaged state (its log is the same)", 1),
        (outcome(seen(0), "wrong"), "silent", "starts over, to other weights (its log is the same)", 5),
        (outcome(seen(4), failed=(None,)), "hangs", "hangs until somebody ends it, then same weights", 1),
        (outcome(seen(4), failed=(75,)), "same", "same weights", 1),
    ],
)
def test_an_outcome_is_judged_by_its_weights_and_steps(found: Outcome, kind: Kind, text: str, lost: int) -> None:
    finding = judge(found, REFERENCE, reached=5)
    assert (finding.kind, finding.text, finding.lost) == (kind, text, lost)
    assert finding.seconds == 103.0 - found.attempts[0].began


@pytest.mark.parametrize(
    ("codes", "kind", "text"),
    [
        ((1, 1), "crashes", "crashes: OSError, again at every restart"),
        ((1,), "crashes", "crashes: OSError"),
        ((77,), "refused", "refused"),
    ],
)
def test_what_never_ends_well_is_said(codes: tuple[int, ...], kind: Kind, text: str) -> None:
    failed = Outcome([Attempt(code, 100.0, Seen(), "OSError") for code in codes])
    finding = judge(failed, REFERENCE, reached=5)
    assert (finding.kind, finding.text, finding.lost, finding.seconds) == (kind, text, None, None)
