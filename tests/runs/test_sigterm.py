"""SIGTERM as a notice: real signals, to this process and to others."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from types import FrameType

import pytest
from loguru import logger

from cortex.runs.notice import Watch
from cortex.settings import CHECKOUT

PROGRAM = """
import signal, sys, time
from cortex.runs.notice import Watch

with Watch([]) as watch:
    print("ready", flush=True)
    while watch.notice is None:
        time.sleep(0.01)
    print(watch.notice.source, round(watch.notice.deadline - time.monotonic()), flush=True)
    time.sleep(float(sys.argv[1]))
print(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, flush=True)
sys.exit(75)
"""


@pytest.fixture
def received() -> Generator[list[int]]:
    """Signals that reach the handler from before the watch."""
    numbers: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        numbers.append(number)

    before = signal.signal(signal.SIGTERM, handler)
    yield numbers
    signal.signal(signal.SIGTERM, before)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def program(rest: float) -> subprocess.Popen[str]:
    """A program that has a watch, waits for a notice, and then goes on for some seconds."""
    command = [sys.executable, "-c", PROGRAM, str(rest)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(CHECKOUT)}
    )
    assert process.stdout and process.stdout.readline() == "ready\n"
    return process


def test_a_program_that_gets_sigterm_notices_and_ends_in_its_own_way() -> None:
    with program(rest=0) as process:
        process.terminate()
        output, _ = process.communicate(timeout=10)
    assert output == "SIGTERM 25\nTrue\n"
    assert process.returncode == 75


def test_a_program_that_gets_sigterm_twice_is_ended_by_the_second() -> None:
    with program(rest=30) as process:
        process.terminate()
        assert process.stdout and process.stdout.readline() == "SIGTERM 25\n"
        process.terminate()
        assert process.wait(timeout=10) == -signal.SIGTERM


def test_the_first_is_a_notice_and_the_second_goes_where_it_went_before(received: list[int]) -> None:
    with Watch([]) as watch:
        assert watch.notice is None
        terminate()
        notice = watch.notice
        assert notice and notice.source == "SIGTERM"
        assert 24 < notice.deadline - time.monotonic() <= 25
        assert received == []
        terminate()
        assert received == [signal.SIGTERM]
        assert watch.notice == notice
    terminate()
    assert received == [signal.SIGTERM] * 2


def test_without_a_signal_the_handler_of_before_is_back_after_the_watch(received: list[int]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyError), Watch([]):
        assert signal.getsignal(signal.SIGTERM) != before
        raise KeyError
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_handler_that_was_set_meanwhile_stays(received: list[int]) -> None:
    with Watch([]):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def test_watches_within_watches_all_notice_and_the_second_goes_where_it_went_before_them(received: list[int]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Watch([]) as outer:
        with Watch([]):
            pass
        with Watch([]) as inner:
            terminate()
            assert inner.notice and outer.notice
            assert received == []
            terminate()
            assert received == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) == before


def test_outside_of_the_main_thread_the_signal_is_left_alone_and_the_log_says_so(received: list[int]) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}")
    before = signal.getsignal(signal.SIGTERM)
    notices: list[object] = []

    def work() -> None:
        with Watch([]) as watch:
            assert signal.getsignal(signal.SIGTERM) == before
            notices.append(watch.notice)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    logger.remove(sink)
    assert notices == [None]
    assert lines == ["SIGTERM is not watched for: this is not the main thread\n"]
