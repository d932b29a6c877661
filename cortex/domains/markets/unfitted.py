"""Error of a baseline that these data cannot fit."""


class UnfittedError(Exception):
    """A baseline has nothing to learn from; the message says why, as the end of a sentence about it."""
