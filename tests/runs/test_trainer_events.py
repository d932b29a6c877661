import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from cortex.runs.trainer_events import (
    LINE_BYTES,
    PIPE_VARIABLE,
    RESERVED,
    Chosen,
    Event,
    EventPipe,
    Failed,
    Progressed,
    Saved,
    Saving,
    Started,
    Stepped,
    Stopped,
    Validated,
    Validating,
    Waiting,
    measured,
)

EVERY: tuple[Event, ...] = (
    Started(rank=3, pid=77, step=0, total=9),
    Stepped(step=3),
    Progressed(step=1, total=9, values={"loss": 0.25}),
    Validating(step=1),
    Validated(step=1, score=-0.25, values={"brier": 0.25}),
    Validated(step=1, score=None, values={}),
    Stopped(step=2, reason="entropy"),
    Chosen(step=1, score=-0.25),
    Saving(step=5),
    Saved(step=5),
    Waiting(reason="a line\nwith an end"),
    Failed(reason="\u00e9 \x1b[31m"),
)

TELL = (
    "import sys; from cortex.runs.trainer_events import *; "
    "[emit(Stepped(step=step)) for step in range(int(sys.argv[1]))]"
)

# Started as torchrun starts ranks: with its variables, and without its open files.
RANKS = """
import subprocess, sys
both = [subprocess.Popen([sys.executable, "-c", *sys.argv[1:]], start_new_session=True) for _ in range(2)]
sys.exit(sum(one.wait() for one in both))
"""


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), level="WARNING", format="{message}")
    yield lines
    logger.remove(sink)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[EventPipe]:
    with EventPipe(tmp_path / "events") as made:
        yield made


def write(pipe: EventPipe, data: bytes) -> None:
    end = os.open(pipe.path, os.O_WRONLY)
    os.write(end, data)
    os.close(end)


def test_what_is_told_is_heard(pipe: EventPipe) -> None:
    write(pipe, b"".join(event.model_dump_json().encode() + b"\n" for event in EVERY))
    assert tuple(pipe.read(0)) == EVERY
    assert not list(pipe.read(0))


def test_ranks_far_below_reach_it_each_event_whole(pipe: EventPipe) -> None:
    variables = {**os.environ, PIPE_VARIABLE: str(pipe.path)}
    process = subprocess.Popen([sys.executable, "-c", RANKS, TELL, "200"], env=variables)
    heard: list[Event] = []
    while process.poll() is None:
        heard += pipe.read(0.1)
    heard += pipe.read(0)
    assert process.returncode == 0
    assert sorted(event.step for event in heard if isinstance(event, Stepped)) == sorted([*range(200), *range(200)])


def test_who_has_told_something_holds_the_pipe(pipe: EventPipe) -> None:
    wait = "; print(flush=True); sys.stdin.read()"
    for steps, expected in (("0", False), ("1", True)):
        variables = {**os.environ, PIPE_VARIABLE: str(pipe.path)}
        command = [sys.executable, "-c", TELL + wait, steps]
        with subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as rank:
            assert rank.stdout and rank.stdout.readline()
            assert pipe.is_held_by(rank.pid) is expected
            rank.communicate()
        assert not pipe.is_held_by(rank.pid)
    assert not pipe.is_held_by(os.getpid()) and not pipe.is_held_by(1)


def test_without_a_supervisor_nothing_is_told_and_nobody_waits(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TELL, "1"]
    alone = {name: value for name, value in os.environ.items() if name != PIPE_VARIABLE}
    done = subprocess.run(command, env=alone, capture_output=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
    os.mkfifo(tmp_path / "events")
    left = alone | {PIPE_VARIABLE: str(tmp_path / "events")}
    gone = subprocess.run(command, env=left, capture_output=True, timeout=60, check=False)
    assert gone.returncode == 1 and b"OSError" in gone.stderr


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"loss 0.25",
        b"{}",
        b'{"event": "st',
        b'{"event": "saved", "step": "../../../victim"}',
        b'{"event": "saved", "step": -1}',
        b'{"event": "saved", "step": 1.5}',
        b'{"event": "saved", "step": true}',
        b'{"event": "saved", "step": 99999999999999999999}',
        b'{"event": "saved", "step": 5, "folder": "/"}',
        b'{"event": "started", "rank": 0, "pid": "1", "step": 0, "total": 1}',
        b'{"event": "started", "rank": 0, "pid": -1, "step": 0, "total": 1}',
        b'{"event": "started", "rank": 0, "pid": 1, "step": 0, "total": 1}',
        b'{"event": "progress", "step": 1, "total": 2, "values": {"loss": NaN}}',
        b'{"event": "progress", "step": 1, "total": 2, "values": {"loss": "low"}}',
        b'{"event": "progress", "step": 1, "total": 2, "values": {"epoch": 9}}',
        b'{"event": "progress", "step": 1, "total": 2, "values": {"step": 9}}',
        b'{"event": "progress", "step": 1, "total": 2, "values": {"a\\u001b[31m": 9}}',
        b'{"event": "progress", "step": 1, "total": 2, "values": {"": 9}}',
        b'{"event": "validated", "step": 1, "score": NaN, "values": {}}',
        b'{"event": "validated", "step": 1, "score": "high", "values": {}}',
        b'{"event": "failed", "reason": ["a"]}',
        b'{"event": "exec", "reason": "a"}',
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
def test_what_is_no_event_is_left_out_and_the_next_is_heard(line: bytes, pipe: EventPipe, log: list[str]) -> None:
    write(pipe, line + b"\n" + Stepped(step=4).model_dump_json().encode() + b"\n")
    assert list(pipe.read(0)) == [Stepped(step=4)]
    assert len(log) == 1 and "is no event" in log[0] and len(log[0]) < 600


def test_a_line_without_end_is_not_kept(pipe: EventPipe) -> None:
    for _ in range(4):
        write(pipe, b"x" * 60_000)
        assert not list(pipe.read(0))
    write(pipe, b"\n" + Stepped(step=4).model_dump_json().encode() + b"\n")
    assert list(pipe.read(0)) == [Stepped(step=4)]


def test_many_metrics_are_told_in_pieces_that_the_pipe_takes_whole() -> None:
    values = {f"rewards/a_function_with_a_long_name_{number}/mean": number / 7 for number in range(300)}
    told = list(measured(5, 9, values))
    assert len(told) > 1
    assert all(len(event.model_dump_json()) + 1 <= LINE_BYTES and event.step == 5 for event in told)
    assert {name: value for event in told for name, value in event.values.items()} == values
    assert len(list(measured(5, 9, {"loss": 1.0}))) == 1
    assert not list(measured(5, 9, {}))


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_no_metric_takes_the_place_of_what_the_ledger_says(name: str) -> None:
    with pytest.raises(ValueError, match="is no metric"):
        Progressed(step=1, total=2, values={name: 1.0})


@pytest.mark.parametrize("letter", ["x", "\x01", "\U0001f600", '"'])
def test_a_long_reason_is_cut_to_what_a_pipe_takes_in_one_piece(letter: str) -> None:
    assert len(Failed(reason=letter * 10_000).model_dump_json().encode()) < 4096
