"""Drawing a run's trainings from its ledger, after the fact: for points that trackers missed, or without a tracker."""

from pathlib import Path

from cortex.artifacts.store import Store
from cortex.errors import DataError
from cortex.runs.ledger import LedgerReader
from cortex.runs.stage_list import TRAINERS
from cortex.tracking.curve import curve
from cortex.tracking.sample_tables import SampleTables
from cortex.tracking.tensorboard import write_curve


def draw_run(store: Store, run: str, folder: Path) -> list[Path]:
    """Write a file for TensorBoard for each stage that trained, in a folder of the stage's name; their paths.

    Raises:
        DataError: nothing was trained yet, or the folder cannot be written.
    """
    events = LedgerReader(store, run).new_events()
    curves = {stage: points for stage in TRAINERS if (points := curve(events, stage))}
    if not curves:
        raise DataError(f"no stage of run {run} has trained yet: `cortex status {run}` says how it stands")
    try:
        return [
            write_curve(points, folder / stage, f"{run}-{stage}", SampleTables(store, run, stage).rows)
            for stage, points in curves.items()
        ]
    except OSError as error:
        raise DataError(f"{error.filename or folder}: {error.strerror}: name another folder (--out)") from error
