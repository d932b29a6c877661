"""`cortex run label` against odd endpoints: one line and an exit code, or labels that say what is missing."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cortex.artifacts.open_store import open_store
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run
from tests.conftest import Cortex, environment
from tests.teaching.endpoint import Reply, Teacher, completion, error, right, serving

pytestmark = pytest.mark.integration

RUN = "run-1"


@pytest.fixture
def teacher() -> Iterator[Teacher]:
    with serving(Teacher()) as served:
        yield served


@pytest.fixture(scope="module")
def with_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a run whose `data` has ended."""
    here, profile = tmp_path_factory.mktemp("with_data"), load_profile("rehearsal")
    values = {"examples": 60, "patience_seconds": 1.0, "max_tokens": 64}
    changed = profile.model_copy(update={"teacher": profile.teacher.model_copy(update=values)})
    create_run(open_store(str(here / "home" / "bucket")), RUN, changed)
    command = [sys.executable, "-m", "cortex", "run", "data", "--run", RUN]
    subprocess.run(command, env=environment(here), check=True, capture_output=True)
    return here / "home"


@pytest.fixture
def label(with_data: Path, cortex: Cortex, teacher: Teacher, tmp_path: Path) -> Callable[[], tuple[int, str]]:
    """Run the stage; return its exit code and its output."""
    shutil.copytree(with_data, tmp_path / "home", symlinks=True)

    def run() -> tuple[int, str]:
        done = cortex("run", "label", "--run", RUN, CORTEX_TEACHER_URL=teacher.url)
        return done.returncode, done.stderr

    return run


def labels(tmp_path: Path) -> dict[str, object]:
    return json.loads((tmp_path / "home" / "bucket" / "runs" / RUN / "label" / "artifact" / "labels.json").read_text())


def test_prompts_without_an_answer_are_counted_among_the_labels(
    label: Callable[[], tuple[int, str]], teacher: Teacher, tmp_path: Path
) -> None:
    odd: dict[str, Reply] = {}

    def script(prompt: str, nth: int) -> Reply:
        with teacher.lock:
            if len(set(teacher.asked)) > 10 and len(odd) < 2:
                odd.setdefault(prompt, [error(400, "filtered"), completion(None, "length")][len(odd)])
        return odd.get(prompt) or right(prompt)

    teacher.script = script
    code, said = label()
    assert code == 0, said
    assert "of 60 prompts, 1 refused, 1 truncated" in said
    found = labels(tmp_path)
    reasons = found["reasons"]
    assert found["asked"] == 60 and isinstance(reasons, dict)
    assert (reasons["refused"], reasons["truncated"]) == (1, 1)


@pytest.mark.parametrize(
    ("reply", "code", "said"),
    [
        (
            error(401, "no such key"),
            1,
            "refuses: HTTP 401: no such key; 0 of 60 answers are kept: check CORTEX_TEACHER",
        ),
        (error(404, "no such model"), 1, "answered none of its first 8 prompts: HTTP 404: no such model"),
        (error(503, "loading"), 1, "has answered nobody for 1 s: HTTP 503: loading"),
        (completion(None, "length"), 65, "8 were cut off at 64 tokens"),
        (completion("up"), 65, "none is fit to imitate ("),
        (None, 1, "has answered nobody for 1 s"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_an_endpoint_that_answers_nobody_is_one_line_and_is_asked_on_once_it_is_mended(
    reply: Reply | None,
    code: int,
    said: str,
    label: Callable[[], tuple[int, str]],
    teacher: Teacher,
    tmp_path: Path,
) -> None:
    teacher.script = lambda *_: reply
    got, lines = label()
    assert got == code, lines
    assert said in lines.splitlines()[-1] and lines.splitlines()[-1].startswith("error: the teacher")
    assert "Traceback" not in lines
    teacher.script = right
    assert label()[0] == 0
    assert labels(tmp_path)["asked"] == 60


@pytest.mark.parametrize("answers", [1, 9, 21, 38])
def test_a_preemption_amid_the_answers_ends_the_stage_at_once_and_none_is_paid_twice(
    answers: int, label: Callable[[], tuple[int, str]], teacher: Teacher, tmp_path: Path
) -> None:
    teacher.seconds = 0.05
    command = [sys.executable, "-m", "cortex", "run", "label", "--run", RUN]
    variables = environment(tmp_path) | {"CORTEX_TEACHER_URL": teacher.url}
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as process:
        while len(teacher.asked) < answers:
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 75, said
    assert "Traceback" not in said and "never retrieved" not in said
    assert said.splitlines()[-1].endswith("SIGTERM: what is done is kept; the same command continues")
    cut_off = len(teacher.asked)
    assert cut_off < 60
    assert label()[0] == 0
    most_under_way = 16
    assert len(teacher.asked) <= 60 + most_under_way, "only what was under way at the signal is asked again"
