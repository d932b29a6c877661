"""The kit's errors. Each has the exit code that the command line leaves with.

0 done · 2 usage · 65 bad data or failed verification · 75 preempted or moved, run me again · 76 over budget, do not ·
77 refused (no receipt, no lease) · 78 configuration. Anything else that fails exits with 1.
"""

import traceback

from cortex.text import harmless


class CortexError(Exception):
    """The kit's own errors: the message is one line that names the file, the value and the fix.

    A message may quote a user's file, or a library that quotes one. Characters that cannot be seen are written out.
    """

    exit_code = 1

    def __str__(self) -> str:
        return harmless(super().__str__())


def describe_fault(error: Exception) -> str:
    """An error of code that is not the kit's, in one line: its type, its message, and the line that raised it."""
    text = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    where = (
        "" if isinstance(error, SyntaxError) or not frames else f" ({frames[-1].filename}, line {frames[-1].lineno})"
    )
    return f"{type(error).__name__}: {text}{where}"


class StageError(CortexError):
    """A stage's program failed; its log says why."""


class UsageError(CortexError, ValueError):
    """A command was called with arguments that it cannot take."""

    exit_code = 2


class DataError(CortexError, ValueError):
    """Data of the user's, or of an earlier stage, cannot be used."""

    exit_code = 65


class VerificationError(DataError):
    """Bytes differ from what their manifest says."""


class PreemptedError(CortexError):
    """The machine is being preempted. Progress is saved: the same command continues."""

    exit_code = 75
    gone_by: float | None = None
    """The time at which the machine goes, in seconds of `time.monotonic()`; None where its cloud has not said."""


class MovedError(CortexError):
    """The machine is given back, and the job continues on another, a cheaper one if there is any."""

    exit_code = 75


class HungError(CortexError):
    """A program made no progress, and was ended. Its checkpoints are safe: the same command continues."""

    exit_code = 75


class BudgetError(CortexError):
    """The run has spent its budget and must not be started again as it is."""

    exit_code = 76


class RefusedError(CortexError, PermissionError):
    """The command could lose or spoil something now: the message names what is missing."""

    exit_code = 77


class ConfigError(CortexError, ValueError):
    """A profile, a setting or the machine does not allow what was asked."""

    exit_code = 78


def error_of(code: int, text: str) -> CortexError:
    """The error that stands for a program's exit code."""
    kinds = (UsageError, DataError, PreemptedError, BudgetError, RefusedError, ConfigError)
    return next((kind(text) for kind in kinds if kind.exit_code == code), StageError(text))
