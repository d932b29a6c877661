"""All runs of a server, watched by one watcher on a machine, which outlives the terminal that started it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from sky.jobs.state import ManagedJobStatus
from sky.schemas.api.responses import ManagedJobRecord

from cortex.artifacts.folder_store import FolderStore
from cortex.errors import ConfigError
from cortex.fleet.clouds.job_names import job_name
from cortex.fleet.watch.background import is_watched, log_path, only_watcher, start_watcher
from cortex.fleet.watch.kit_jobs import RECENT, KitJob, kit_jobs
from cortex.fleet.watch.run_watch import RunWatch
from cortex.fleet.watch.watcher import Watcher, watch_runs
from cortex.profiles.profile import Profile
from cortex.runs.context import create_run
from cortex.runs.ledger import Ledger
from tests.conftest import Cortex
from tests.fleet.conftest import RUN
from tests.runs.conftest import log

__all__ = ["log"]

pytestmark = pytest.mark.integration

NOW = 1_800_000_000.0
PIPELINE = [
    {"name": "cortex"},
    {"name": "mine", "run": "python mine.py", "envs": {}},
    {"name": "sft", "run": "cortex run sft", "envs": {"RUN_ID": RUN, "CORTEX_BUCKET": "s3://bucket"}},
]


def record(task: int, status: str, **further: Any) -> ManagedJobRecord:
    given: dict[str, Any] = {"job_id": 7, "job_name": job_name(RUN), "user_yaml": yaml.safe_dump_all(PIPELINE)}
    given |= {"submitted_at": NOW - 9000, "task_name": f"task-{task}"} | further
    return ManagedJobRecord(task_id=task, status=ManagedJobStatus(status), **given)


def test_the_kits_jobs_are_known_by_the_run_whose_name_they_bear() -> None:
    (job,) = kit_jobs([record(0, "SUCCEEDED", end_at=NOW - 60), record(1, "STARTING")], NOW)
    assert (job.run, job.bucket, job.number, job.begun()) == (RUN, "s3://bucket", 7, NOW - 60)
    assert not job.expects_program("task-0") and job.expects_program("task-1") and not job.expects_program("task-2")


@pytest.mark.parametrize(
    "further",
    [
        {"job_name": "cortex-other"},
        {"user_yaml": "run: python mine.py"},
        {"user_yaml": "run: [}"},
        {"user_yaml": "- a list"},
        {"user_yaml": None},
        {"user_yaml": "run: x\nenvs: {RUN_ID: demo-1}"},
        {"user_yaml": "run: x\nenvs: [RUN_ID]"},
    ],
    ids=str,
)
def test_what_is_none_of_the_kits_is_left_alone(further: dict[str, Any]) -> None:
    assert kit_jobs([record(0, "STARTING", **further)], NOW) == []


def test_a_job_is_of_interest_for_an_hour_after_its_end() -> None:
    ended = [record(0, "FAILED_SETUP", end_at=NOW - 10), record(1, "CANCELLED", end_at=NOW - 5)]
    assert len(kit_jobs(ended, NOW + RECENT - 10)) == 1 and kit_jobs(ended, NOW + RECENT) == []


@dataclass
class Jobs:
    """SkyPilot's answers, one for each look."""

    answers: list[list[KitJob] | ConfigError] = field(default_factory=list[list[KitJob] | ConfigError])

    def known(self) -> list[KitJob]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, ConfigError):
            raise answer
        return answer

    def cancel(self, number: int) -> None:
        raise AssertionError(f"job/{number} is cancelled")


@pytest.fixture
def job(store: FolderStore, profile: Profile) -> Callable[[str], KitJob]:
    create_run(store, RUN, profile)
    Ledger(store, RUN, 1).append("launched", job=7)

    def job(status: str) -> KitJob:
        return KitJob(RUN, store.url, 7, (record(0, status, submitted_at=time.time()),), (True,))

    return job


def test_what_cannot_be_asked_is_said_once_and_asked_again(job: Callable[[str], KitJob], log: list[str]) -> None:
    lost = KitJob("demo-2", job("RUNNING").bucket, 8, (), ())
    silent = ConfigError("SkyPilot's server does not answer")
    jobs = Jobs([silent, silent, [lost, job("RUNNING")], [lost, job("SUCCEEDED")], []])
    watcher = Watcher(jobs)
    assert [watcher.look() for _ in range(5)] == [True, True, True, True, False]
    told = "".join(log)
    assert told.count("SkyPilot's server does not answer: nothing is ended for that; asked again") == 1
    assert told.count("no run 'demo-2' in") == 1, told
    assert told.count(f"watching run {RUN} in {job('RUNNING').bucket}") == 1


def test_a_settled_run_is_read_no_more(job: Callable[[str], KitJob], monkeypatch: pytest.MonkeyPatch) -> None:
    looks = list[int]()
    look = RunWatch.look
    monkeypatch.setattr(RunWatch, "look", lambda self, job: (looks.append(job.number), look(self, job))[1])
    watcher = Watcher(Jobs([[job("RUNNING")], [job("SUCCEEDED")]]))
    assert [watcher.look() for _ in range(4)] == [True, False, False, False]
    assert looks == [7, 7]


def test_it_watches_until_nothing_is_left_and_a_launch_that_counted_on_it_is_not_left_alone(
    job: Callable[[str], KitJob],
) -> None:
    # The third look comes after the watcher has let go: a run launched meanwhile is watched to its end.
    jobs = Jobs([[job("RUNNING")], [], [job("RUNNING")], [job("SUCCEEDED")], []])
    held, slept = list[bool](), list[float]()

    @contextmanager
    def only() -> Generator[bool]:
        held.append(True)
        yield True
        held.append(False)

    assert watch_runs(Watcher(jobs), only, 5.0, until_done=True, sleep=slept.append)
    assert held == [True, False, True, False] and slept == [5.0] and jobs.answers == [[]]


def test_a_second_watcher_of_a_machine_leaves_and_a_dead_one_holds_nobody_up(tmp_path: Path) -> None:
    hold = "import sys, time; from pathlib import Path; from cortex.fleet.watch.background import only_watcher\n"
    hold += "with only_watcher(Path(sys.argv[1])) as first: print(first, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "True\n"
        with only_watcher(tmp_path) as first:
            assert not first
        assert is_watched(tmp_path)
        assert not watch_runs(Watcher(Jobs()), partial(only_watcher, tmp_path), 1.0, until_done=False)
        process.kill()
    assert not is_watched(tmp_path) and not is_watched(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == [tmp_path / "watch.lock"]
    with only_watcher(tmp_path) as first:
        assert first


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user whose SkyPilot server was started once, and no longer answers."""
    (tmp_path / ".sky" / "api_server").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SKYPILOT_API_SERVER_ENDPOINT", raising=False)
    return tmp_path / "home"


def test_one_that_is_started_by_a_launch_outlives_its_terminal(nowhere: Path) -> None:
    first = start_watcher(nowhere)
    try:
        _until(lambda: "nothing is ended for that" in log_path(nowhere).read_text())
        assert os.getsid(first) == first != os.getsid(0)
        second = start_watcher(nowhere)
        assert os.waitpid(second, 0)[1] == 0
        assert "a watcher is at work on this machine already" in log_path(nowhere).read_text()
        assert os.waitpid(first, os.WNOHANG) == (0, 0)
    finally:
        os.kill(first, signal.SIGTERM)
        os.waitpid(first, 0)


def test_to_look_once_is_an_error_where_somebody_does_not_answer(cortex: Cortex, nowhere: Path) -> None:
    done = cortex("watch", "--once", HOME=str(nowhere.parent))
    assert done.returncode == 1 and "cannot ask for the jobs of runs: SkyPilot's server" in done.stderr
    assert "Traceback" not in done.stderr
    assert cortex("watch", "--every", "0.1").returncode == 2


def test_a_machine_that_never_launched_anything_has_nothing_to_watch(cortex: Cortex, tmp_path: Path) -> None:
    assert cortex("watch", "--once", HOME=str(tmp_path)).returncode == 0
    assert cortex("watch", "--until-done", HOME=str(tmp_path), CORTEX_HOME=str(tmp_path / "home")).returncode == 0


def _until(look: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not look():
        assert time.monotonic() < end
        time.sleep(0.1)
