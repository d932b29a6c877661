"""`cortex drill` as a user types it: a handful of faults, with the real trainer."""

import json

import pytest

from tests.rehearsal.conftest import Home

pytestmark = pytest.mark.rehearsal

SPOILED = {"weights half zeroes": "silent", "optimizer missing": "silent", "trainer state missing": "crashes"}


def test_a_quick_drill_finds_what_a_bare_trainer_does_and_the_kit_does_not(home: Home) -> None:
    done = home.cortex("drill", "--quick", "--json", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    rows = {row["fault"]: row for row in told["faults"]}
    assert told["held"] and told["stage"] == "grpo"
    assert told["kit"] == {"silent": 0, "crash_loops": 0}
    assert {name: rows[name]["bare"]["kind"] for name in SPOILED} == SPOILED
    for name, row in rows.items():
        assert row["kit"]["text"] == "same weights", name
        assert row["kit"]["resumed"] >= row["good"], name
        assert row["kit"]["seconds"] > 0, name
    # a kill in the middle of a save ends a bare trainer for good; a notice costs the kit no step
    assert rows["killed in the middle of a save"]["bare"]["text"].endswith(", again at every restart")
    assert rows["killed after the last save"]["bare"]["text"].startswith("makes step 8 of 7")
    assert rows["SIGTERM, a spot notice"]["kit"]["lost"] == 0 < rows["SIGTERM, a spot notice"]["bare"]["lost"]
    assert not list((home.folder / "drill").iterdir())


def test_words_that_no_fault_has_are_refused(home: Home) -> None:
    done = home.cortex("drill", "--stage", "gpro")
    assert (done.returncode, done.stderr) == (2, "error: no trainer 'gpro' to drill: did you mean 'grpo'?\n")
