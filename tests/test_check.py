"""`scripts/check.py`, with tiers that take no minutes."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cortex.process import running
from cortex.settings import CHECKOUT
from scripts.check import Command, Tier, check

AWAITS = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)\n"

INTERRUPTED = """
import os, sys
from scripts import check
wait = f'''
import pathlib, sys, time
told = pathlib.Path(sys.argv[1])
try:
    told.with_suffix(".up").touch()
    time.sleep(60)
finally:
    time.sleep(0.2)
    told.touch()
'''
for name, runs in (("unit", "in turn"), ("testbed", "beside")):
    check.TIERS[name] = check.Tier(([sys.executable, "-c", wait, f"{os.environ['FOLDER']}/{name}"],), runs=runs)
check.main()
"""


def program(code: str, *words: str | Path) -> Command:
    return [sys.executable, "-c", code, *words]


def test_what_waits_runs_beside_and_is_shown_after_and_what_is_timed_comes_last(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    seen = tmp_path / "seen"
    tiers = {
        "timed": Tier((program("print('the last', flush=True)"),), runs="alone"),
        "waits": Tier((program(AWAITS + "print('waited')", seen), program("import sys; sys.exit('bad')")), "beside"),
        "first": Tier((program("import sys; sys.exit(3)"), program("print('goes on')"))),
        "second": Tier((program("import pathlib, sys; pathlib.Path(sys.argv[1]).touch()", seen),)),
    }
    results = asyncio.run(check(tiers, os.environ))
    assert {name: result.passed for name, result in results.items()} == {
        "timed": True, "waits": False, "first": False, "second": True,
    }  # fmt: skip
    assert capfd.readouterr().out.splitlines() == [
        "== first", "goes on", "== second", "== waits", "waited", "bad", "== timed", "the last",
    ]  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_all_and_waits_until_it_has_cleaned_up(number: signal.Signals, tmp_path: Path) -> None:
    command = program(INTERRUPTED, "--tier", "unit", "--tier", "testbed")
    variables = {**os.environ, "FOLDER": str(tmp_path)}
    with running(command, env=variables, cwd=CHECKOUT, stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 60
        while len(list(tmp_path.glob("*.up"))) < 2:
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert {path.name for path in tmp_path.iterdir()} == {"unit", "testbed", "unit.up", "testbed.up"}
    assert error.splitlines()[-1] == "interrupted"
