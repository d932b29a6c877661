"""Counts of recorded feedback, for people."""

from cortex.serving.feedback.collecting import Recorded


def count_feedback(recorded: Recorded) -> dict[str, dict[str, int]]:
    """Requests by domain, and how many of them have each kind of feedback."""
    counts: dict[str, dict[str, int]] = {}
    for told in recorded.told:
        posted = told.posted
        found = counts.setdefault(
            told.answer.domain or "chat",
            {"requests": 0, "outcomes": 0, "thumbs": 0, "better replies": 0, "withdrawn": 0},
        )
        found["requests"] += 1
        found["withdrawn"] += posted.withdrawn
        found["outcomes"] += posted.judged
        found["thumbs"] += posted.thumb is not None
        found["better replies"] += posted.better is not None
    return counts
