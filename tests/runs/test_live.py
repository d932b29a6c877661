import io
import time
from pathlib import Path

import pytest

from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.store import Store
from cortex.console import Console
from cortex.runs.ledger import Ledger
from cortex.runs.live import LiveStages
from cortex.runs.run_state import RunFollower
from tests.backdating import backdate

STAGES = ["data", "sft"]
DAY = 86_400.0


def true_time() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)


class Bucket(FolderStore):
    """A bucket with the right time, that of the disk, whatever this program's clock says."""

    def now(self) -> float:
        return true_time()


def test_elsewhere_than_on_a_terminal_every_change_is_one_line(store: Store) -> None:
    text = io.StringIO()
    ledger = Ledger(store, "a", 1)
    with LiveStages(RunFollower(store, "a", STAGES), Console(file=text, width=120)) as live:
        live.refresh()
        assert text.getvalue() == ""
        ledger.append("stage_started", stage="data")
        live.refresh()
        live.refresh()
        ledger.append("stage_finished", stage="data", seconds=1.5, manifest="0" * 64)
        live.refresh()
        ledger.append("stage_started", stage="sft")
    lines = [line.split() for line in text.getvalue().splitlines()]
    assert [line[:2] for line in lines] == [["data", "running"], ["data", "done"], ["sft", "running"]]
    assert lines[1][2:] == ["1.5", "s"]


def test_on_a_terminal_a_table_shows_step_loss_and_reward(store: Store) -> None:
    text = io.StringIO()
    ledger = Ledger(store, "a", 1)
    ledger.append("stage_started", stage="sft")
    ledger.progress(step=30, total=60, loss=0.25, reward=0.875, entropy=1.0)
    ledger.flush()
    console = Console(file=text, width=120, force_terminal=True)
    with LiveStages(RunFollower(store, "a", STAGES), console) as live:
        live.waiting_for = "environment sft"
        live.refresh()
        # A step's measurements may come in parts; a validation's are added to them.
        ledger.append("validated", stage="sft", step=30, values={"answer_loss": 0.1875, "loss": 3.0})
        ledger.progress(step=31, total=60, loss=0.125)
        ledger.progress(step=31, total=60, reward=0.5)
        ledger.flush()
        live.refresh()
    shown = text.getvalue()
    for word in (
        "data",
        "sft",
        "30/60",
        "loss 0.2500",
        "reward 0.8750",
        "making environment sft",
        "31/60",
        "loss 0.1250",
        "reward 0.5000",
        "validated 30: answer_loss 0.1875",
    ):
        assert word in shown
    assert "entropy" not in shown


def test_a_pretraining_shows_its_tokens_and_their_rate(store: Store) -> None:
    text = io.StringIO()
    ledger = Ledger(store, "a", 1)
    ledger.append("stage_started", stage="sft")
    ledger.progress(step=30, total=60, loss=3.25, tokens=31457280.0, tokens_per_second=214321.6, phase=1.0)
    ledger.flush()
    with LiveStages(RunFollower(store, "a", STAGES), Console(file=text, width=120, force_terminal=True)) as live:
        live.refresh()
    assert "loss 3.2500  31.5M tokens, 214,322 a second" in text.getvalue()


@pytest.mark.parametrize("skew", [-400 * DAY, -DAY, -60.0, 60.0, DAY, 400 * DAY])
@pytest.mark.parametrize("whose", ["the machine's", "the laptop's"])
def test_the_time_of_a_stage_is_by_the_buckets_clock(
    skew: float, whose: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Bucket(tmp_path)
    Ledger(store, "a", 1, lambda: true_time() + skew * (whose == "the machine's")).append("stage_started", stage="data")
    backdate(store, "runs/a/ledger", 30)
    if whose == "the laptop's":
        monkeypatch.setattr(time, "time", lambda: true_time() + skew)
    text = io.StringIO()
    with LiveStages(RunFollower(store, "a", STAGES), Console(file=text, width=120)):
        pass
    stage, state, seconds, _ = text.getvalue().split()
    assert (stage, state) == ("data", "running") and 29 < float(seconds) < 45


def test_an_error_leaves_the_table_and_goes_on_its_way(store: Store) -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    with pytest.raises(KeyError), LiveStages(RunFollower(store, "a", STAGES), console):
        raise KeyError("stage")
    with LiveStages(RunFollower(store, "a", STAGES), console):
        """A second view of one console starts only if the first has stopped."""
