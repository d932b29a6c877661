"""Files of feedback: whole lines, private, rotated and bounded, whatever the disk and kills do."""

import datetime as dt
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from cortex.serving.feedback import feedback_log
from cortex.serving.feedback.feedback_log import FeedbackLog, FullLogError
from cortex.serving.feedback.feedback_records import read_record_file, to_line
from tests.serving.feedback.records import DAY, NOW, answer, outcome

LINE = to_line(answer())


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> dt.datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(tmp_path: Path, clock: Clock) -> FeedbackLog:
    return FeedbackLog(tmp_path / "feedback", 10_000, clock)


def test_records_come_back_as_they_were_written_and_only_their_owner_reads_them(log: FeedbackLog) -> None:
    written = [answer(), outcome(), answer("b", at=NOW - DAY, arm="share")]
    for record in written:
        log.append(to_line(record), durable=True)
    [file] = log.files()
    assert read_record_file(file) == written
    assert file.stat().st_mode & 0o777 == 0o600
    assert log.folder.stat().st_mode & 0o777 == log.folder.parent.stat().st_mode & 0o777 == 0o700


def test_a_line_that_a_kill_has_torn_is_passed_over_and_nothing_is_added_to_it(log: FeedbackLog, clock: Clock) -> None:
    log.append(LINE)
    [torn] = log.files()
    with torn.open("ab") as file:
        file.write(LINE[: len(LINE) // 2])
    log.close()
    again = FeedbackLog(log.folder.parent, 10_000, clock)
    assert again.folder == log.folder, "a restarted gateway goes on in its folder"
    again.append(LINE)
    first, second = again.files()
    assert read_record_file(first) == [answer(), None] and read_record_file(second) == [answer()]


@pytest.mark.parametrize("damage", [b"{}\n", b"\xff\xfe\n", b'{"kind": "answer"}\n', b"[" * 5000 + b"\n", b"\n"])
def test_a_damaged_line_costs_itself_alone(log: FeedbackLog, damage: bytes) -> None:
    log.append(LINE)
    [file] = log.files()
    file.write_bytes(LINE + damage + LINE)
    assert read_record_file(file) == [answer(), None, answer()]


def test_two_gateways_of_one_machine_have_a_folder_each_and_fetched_ones_are_nobodys(
    log: FeedbackLog, tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "feedback" / "0fetched").mkdir()
    other = FeedbackLog(tmp_path / "feedback", 10_000, clock)
    assert len({log.gateway, other.gateway, "0fetched"}) == 3


def test_days_and_sizes_begin_new_files_and_old_days_are_removed(
    log: FeedbackLog, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback_log, "FILE_BYTES", 2 * len(LINE))
    for _ in range(3):
        log.append(LINE)
    clock.time += DAY
    log.append(LINE)
    assert [file.name for file in log.files()] == [
        "2026-03-01-0000.jsonl",
        "2026-03-01-0001.jsonl",
        "2026-03-02-0000.jsonl",
    ]
    assert log.expire(1) == []
    clock.time += DAY
    assert log.expire(1) == ["2026-03-01-0000.jsonl", "2026-03-01-0001.jsonl"]


def test_at_the_limit_nothing_more_is_kept_until_old_days_go(tmp_path: Path, clock: Clock) -> None:
    log = FeedbackLog(tmp_path / "feedback", 2 * len(LINE), clock)
    log.append(LINE)
    log.append(LINE)
    with pytest.raises(FullLogError, match="no room"):
        log.append(LINE)
    clock.time += 2 * DAY
    log.expire(1)
    log.append(LINE)


@pytest.fixture
def tight() -> Iterator[None]:
    """A limit on files in the middle of the second line, as where a disk fills up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(LINE) * 3 // 2, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("tight")
def test_a_full_disk_leaves_whole_lines_alone(log: FeedbackLog) -> None:
    log.append(LINE)
    with pytest.raises(OSError, match="No space left"):
        log.append(LINE)
    log.append(LINE)
    assert [read_record_file(file) for file in log.files()] == [[answer()], [answer()]]
