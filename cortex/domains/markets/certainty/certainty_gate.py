"""The contract of a gate: by what was known before, it keeps a forecast or abstains, or replaces an interval."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from warnings import catch_warnings, simplefilter

import numpy as np

from cortex.domains.markets.certainty.certainty_case import Case
from cortex.evaluation.grades import Bools, Floats


@dataclass(frozen=True, eq=False)
class Kept:
    """The decisions of a gate that abstains."""

    keep: Bools
    """The forecasts that are kept (N); only those of the walk's steps count."""
    measured: str = ""
    """The module's own measurement, in a few words."""


@dataclass(frozen=True, eq=False)
class Replaced:
    """The decisions of a gate that states another interval of the return."""

    low: Floats
    """Ends of the intervals, fractions (N each); NaN where the stated one stays."""
    high: Floats
    measured: str = ""


class CannotTellError(Exception):
    """The data do not carry a module, or its library warned: a sentence of the page, and no failure of the run."""


@dataclass(frozen=True)
class Gate:
    name: str
    title: str
    library: str
    """Library that computes it; `own` where a few lines do."""
    decide: Callable[[Case], Kept | Replaced]
    """Raises CannotTellError where it cannot."""


@contextmanager
def refusing_warnings(library: str, *further: type[Exception]) -> Iterator[None]:
    """Turn a library's warning, or its failure on degenerate numbers, into a CannotTellError that names it.

    `further` are the classes by which the library itself reports such a failure.
    """
    try:
        with catch_warnings(), np.errstate(divide="raise", invalid="raise"):
            simplefilter("error")
            simplefilter("ignore", DeprecationWarning)
            simplefilter("ignore", FutureWarning)
            yield
    except (Warning, FloatingPointError, np.linalg.LinAlgError, *further) as error:
        raise CannotTellError(f"{library} warned: {' '.join(str(error).split())[:160]}") from error
