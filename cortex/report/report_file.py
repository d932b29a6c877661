"""Files of reports: the page of a run, and the comparison of several."""

from collections.abc import Sequence
from pathlib import Path

from cortex.artifacts.store import Store
from cortex.errors import UsageError
from cortex.report.comparison_page import comparison_page
from cortex.report.gathered_run import gather
from cortex.report.report_place import COMPARISON, report_path
from cortex.report.run_page import run_page


def write_run(store: Store, run: str, home: Path, out: Path | None = None) -> Path:
    """Write the page of a run, and return its path.

    Raises:
        UsageError: there is no such run, or the file cannot be written.
        VerificationError: a file of the run differs from the published one.
    """
    return _write(out or report_path(home, run), run_page(gather(store, run)))


def write_comparison(store: Store, runs: Sequence[str], home: Path, out: Path | None = None) -> Path:
    """Write the page that compares runs, beside the first one's own, and return its path.

    Raises:
        UsageError, VerificationError: as `write_run`.
    """
    place = report_path(home, runs[0]).with_name(COMPARISON)
    return _write(out or place, comparison_page(store, [gather(store, run) for run in runs]))


def _write(path: Path, text: str) -> Path:
    aside = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}: name another file (--out)") from error
    return path
