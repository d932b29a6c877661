"""One tree of errors. Each knows the exit code that the command line leaves with.

0 done · 2 usage · 65 bad data or failed verification · 75 preempted or moved, run me again · 76 over budget, do not ·
77 refused (no receipt, no lease) · 78 configuration. Anything else that fails exits with 1.
"""


class CortexError(Exception):
    """The kit's own errors: the message is one line that names the file, the value and the fix."""

    exit_code = 1


class StageError(CortexError):
    """A stage's program failed; its log says why."""


class UsageError(CortexError, ValueError):
    """A command was called with words or values that it cannot take."""

    exit_code = 2


class DataError(CortexError, ValueError):
    """Data that was given, or that a stage before left, cannot be used."""

    exit_code = 65


class VerificationError(DataError):
    """Bytes are not what their manifest says."""


class PreemptedError(CortexError):
    """The machine is being taken away. Progress is safe: the same command continues."""

    exit_code = 75
    gone_by: float | None = None
    """In seconds of `time.monotonic()`, where its cloud has said when."""


class MovedError(CortexError):
    """The machine is given back so that the job goes on, on a cheaper one if there is any."""

    exit_code = 75


class HungError(CortexError):
    """A program made no progress, and was ended. What it had saved is safe: the same command continues."""

    exit_code = 75


class BudgetError(CortexError):
    """The run has spent its budget and must not be started again as it is."""

    exit_code = 76


class RefusedError(CortexError, PermissionError):
    """Doing this now could lose or spoil something: the message names what is missing."""

    exit_code = 77


class ConfigError(CortexError, ValueError):
    """A profile, a setting or the machine is not fit for what was asked."""

    exit_code = 78


def error_of(code: int, text: str) -> CortexError:
    """The error that a program ended with, by its exit code."""
    kinds = (UsageError, DataError, PreemptedError, BudgetError, RefusedError, ConfigError)
    return next((kind(text) for kind in kinds if kind.exit_code == code), StageError(text))
