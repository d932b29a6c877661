"""The rules that no schedule may break: docs/proof.md's sentences, each by the name that a finding gives."""

from enum import Enum


class Rule(Enum):
    """Rules that hold at every step."""

    WRITTEN_ONCE = "a profile, a lease, an entry of the ledger and a manifest stay as they were first seen"
    WHOLE = "what is published can be fetched, byte for byte"
    ONE_WRITER = "who could know that the run was taken over publishes nothing"
    NO_GAP = "epochs count up from 1 without a gap"
    NO_EVENT_LOST = "what was acknowledged is followed"
    NO_EVENT_TWICE = "no event is followed twice"
    SPEND_NEVER_FALLS = "spend never falls"
    SPEND_NEVER_JUMPS = "spend is at most what the machines have cost by now"
    SPEND_COUNTS = "spend is at least what signs that were acknowledged tell"
    NO_RECEIPT_WITHOUT_COPY = "where a receipt is written, a right copy lies"
    NO_TEARDOWN_WITHOUT_COPY = "machines are destroyed only while a right copy lies here"
    CONDITIONAL = "no run but a rehearsal begins in a bucket without conditional writes"
    ENDS = "every program ends"
    NO_SURPRISE = "a program fails as its errors say, and in no other way"


class ViolationError(AssertionError):
    """A rule was broken."""

    def __init__(self, rule: Rule, what: str) -> None:
        super().__init__(f"{rule.name}, {rule.value}: {what}")
        self.rule = rule
