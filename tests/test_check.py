"""`scripts/check.py`, with tiers that take seconds."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cortex.process import running
from cortex.settings import CHECKOUT
from scripts.check import Command, run

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
for name in ("unit", "testbed"):
    check.TIERS[name] = [[sys.executable, "-c", wait, f"{os.environ['FOLDER']}/{name}"]]
check.main()
"""


def program(code: str, *words: str | Path) -> Command:
    return [sys.executable, "-c", code, *words]


def test_a_command_that_fails_hides_none_after_it(capfd: pytest.CaptureFixture[str]) -> None:
    failing = run("first", [program("import sys; sys.exit(3)"), program("print('goes on')")], os.environ)
    passing = run("second", [program("pass")], os.environ)
    assert (failing.passed, passing.passed) == (False, True)
    lines = capfd.readouterr().out.splitlines()
    assert [re.sub(r" \(\d+ GB of disk free\)$", "", line) for line in lines] == ["== first", "goes on", "== second"]


def test_a_failed_test_is_named_again_at_the_end_with_its_error(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(
        "def test_right(): pass\ndef test_wrong(): raise ValueError('the reason')\n", encoding="utf-8"
    )
    command: Command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path / "test_some.py"]
    (failure,) = run("some", [command, program("pass")], os.environ).failures
    assert failure.startswith("FAILED ") and failure.endswith("test_some::test_wrong: ValueError: the reason")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_what_runs_waits_until_it_has_cleaned_up_and_starts_nothing_more(
    number: signal.Signals, tmp_path: Path
) -> None:
    command = program(INTERRUPTED, "--tier", "unit", "--tier", "testbed")
    variables = {**os.environ, "FOLDER": str(tmp_path)}
    with running(command, env=variables, cwd=CHECKOUT, stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 60
        while not (tmp_path / "unit.up").exists():
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert {path.name for path in tmp_path.iterdir()} == {"unit", "unit.up"}
    assert error.splitlines()[-1] == "interrupted"
