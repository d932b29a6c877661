"""`cortex curves`: trainings drawn from the ledger."""

from pathlib import Path

from cortex.artifacts.store import Store
from cortex.profiles.profile import Profile
from cortex.runs.context import create_run
from cortex.runs.ledger import Ledger
from tests.conftest import Cortex


def test_a_runs_trainings_are_drawn_from_its_ledger(
    cortex: Cortex, store: Store, profile: Profile, tmp_path: Path
) -> None:
    create_run(store, "run-1", profile, rehearsal=True)
    out = tmp_path / "curves"
    nothing = cortex("curves", "run-1", "--out", str(out))
    assert nothing.returncode == 65 and "no stage of run run-1 has trained yet" in nothing.stderr
    assert cortex("curves", "run-2", "--out", str(out)).returncode == 2
    ledger = Ledger(store, "run-1", 1)
    ledger.append("stage_started", stage="grpo")
    ledger.progress(step=1, total=2, reward=0.5, **{"odd \ud800 name": 1.0})
    ledger.flush()
    done = cortex("curves", "run-1", "--out", str(out))
    assert done.returncode == 0, done.stderr
    [path] = [path for path in out.rglob("*") if path.is_file()]
    assert path.parent.name == "grpo" and str(path) in done.stdout
    assert b"reward" in path.read_bytes()
    blocked = cortex("curves", "run-1", "--out", str(path))
    assert blocked.returncode == 65 and "name another folder" in blocked.stderr
    assert "Traceback" not in blocked.stderr
