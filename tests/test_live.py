import io

import pytest

from cortex.artifacts.store import Store
from cortex.console import Console
from cortex.live import LiveStages
from cortex.runs.ledger import Ledger
from cortex.runs.report import RunFollower

STAGES = ["data", "sft"]


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
    shown = text.getvalue()
    for word in ("data", "sft", "30/60", "loss 0.2500", "reward 0.8750", "making environment sft"):
        assert word in shown
    assert "entropy" not in shown


def test_an_error_leaves_the_table_and_goes_on_its_way(store: Store) -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    with pytest.raises(KeyError), LiveStages(RunFollower(store, "a", STAGES), console):
        raise KeyError("stage")
    with LiveStages(RunFollower(store, "a", STAGES), console):
        """A second view of one console starts only if the first has stopped."""
