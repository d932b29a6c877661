"""Ctrl-C at any moment ends what was rented; only a third one leaves it standing, and says so."""

import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cortex.process import running
from cortex.settings import CHECKOUT

pytestmark = pytest.mark.integration

PROGRAM = """
import sys, time
from pathlib import Path
from scripts.roadtest.interrupts import Interrupts
from scripts.roadtest.step import Found, Step
from scripts.roadtest.walk import Walk
from tests.roadtest.conftest import make_test_road

folder = Path(sys.argv[1])

def mark(name):
    (folder / name).touch()

def rent(road):
    road.begin(road.run)
    mark("renting")
    road.verbs.program(["sleep", "60"], "sleep", 60)
    return Found("")

def end(road):
    mark("ending")
    while not (folder / "go").exists():
        time.sleep(0.05)
    mark("ended")
    return Found("")

steps = [Step("launch", "It is taken.", rent, 60), Step("gpu", "It computes.", rent, 60),
         Step("left over", "Nothing stands.", end, 60, always=True)]
with Interrupts("`make roadtest END=x` ends it") as interrupts:
    for line in Walk(make_test_road(folder), interrupts, lambda line: None).take(steps):
        print(line.name, line.state, line.detail)
"""


@contextmanager
def walking(folder: Path) -> Generator["subprocess.Popen[str]"]:
    environment = {"PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", PROGRAM, folder]
    with (
        (folder / "log").open("w", encoding="utf-8") as log,
        running(command, env=environment, stdout=log, stderr=log, cwd=CHECKOUT) as process,
    ):
        until(folder / "renting")
        yield process


def until(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path.name}: {(path.parent / 'log').read_text(encoding='utf-8')}"
        time.sleep(0.02)


def said(folder: Path) -> str:
    return (folder / "log").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_step_under_way_ends_and_what_was_rented_with_it(number: signal.Signals, tmp_path: Path) -> None:
    with walking(tmp_path) as process:
        process.send_signal(number)
        until(tmp_path / "ending")
        (tmp_path / "go").touch()
        assert process.wait(30) == 0
    assert said(tmp_path).splitlines() == [
        "launch FAILED it was interrupted",
        "gpu not reached ",
        "left over passed ",
    ]


def test_a_second_one_does_not_keep_what_was_rented_from_being_ended(tmp_path: Path) -> None:
    with walking(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        until(tmp_path / "ending")
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        (tmp_path / "go").touch()
        assert process.wait(30) == 0
    assert "once more leaves it standing, and then `make roadtest END=x` ends it" in said(tmp_path)
    assert (tmp_path / "ended").exists() and "left over passed" in said(tmp_path)


def test_only_a_third_one_leaves_and_the_table_says_that_it_did(tmp_path: Path) -> None:
    with walking(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        until(tmp_path / "ending")
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert not (tmp_path / "ended").exists()
    assert "left over FAILED it was interrupted" in said(tmp_path)
