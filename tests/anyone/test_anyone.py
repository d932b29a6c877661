"""The kit on anyone's machine: set up and used without rights, in a path with a space and an accent, under LC_ALL=C,
umask 077, a HOME that cannot be written and no other variables, with the oldest Python of each version that is here."""

import subprocess
import sys
from pathlib import Path

import yaml

from cortex.errors import StageError
from cortex.settings import CHECKOUT
from tests.anyone.pythons import Python
from tests.anyone.user import PlainUser
from tests.tables import write_csv

CORTEX = ".venv/bin/cortex"
MODULES = [
    "tests/drill/test_warm.py",
    "tests/teaching/test_scripted_teacher.py",
    "tests/test_paths.py",
    "tests/test_process.py",
    "tests/test_settings.py",
    "tests/test_yaml_reader.py",
]
"""Unit tests of code that depends on the machine: programs, paths, sockets, servers on loopback, the locale."""
NOBODY = "http://127.0.0.1:9"
"""An address without a server: port 9 is the discard port."""
PROXIES: dict[str, str] = dict.fromkeys(
    ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), NOBODY
)


def test_setting_up_takes_the_python_that_was_named_and_leaves_home_alone(python: Python, user: PlainUser) -> None:
    asked = user.run(".venv/bin/python", "-c", "import sys; print(*sys.version_info[:3], sep='.')")
    assert asked.stdout == f"{python}\n"
    assert user.run("touch", user.home / "file").returncode, "this HOME can be written"
    assert not list(user.home.iterdir())


def test_the_command_line_prints_its_help(user: PlainUser) -> None:
    done = user.run(CORTEX, "--help")
    assert done.returncode == 0 and "rehearse" in done.stdout, done.stderr


def test_examples_are_as_they_are_for_anybody_else(python: Python, user: PlainUser, tmp_path: Path) -> None:
    table = write_csv(user.own / "Kürse 2020.csv")
    table.chmod(0o644)
    theirs, ours = user.own / f"examples of {python}", tmp_path / "examples"
    words = ["dataset", "build", "--data", table, "--out"]
    done = user.run(user.checkout / CORTEX, *words, theirs, folder=user.own)
    assert done.returncode == 0, done.stderr
    subprocess.run([sys.executable, "-m", "cortex", *words, ours], cwd=CHECKOUT, capture_output=True, check=True)
    assert contents(theirs) == contents(ours)


def test_a_teacher_is_reached_past_a_proxy_and_missed_in_one_line(python: Python, user: PlainUser) -> None:
    run = f"run-{str(python).replace('.', '-')}"
    profile = yaml.safe_load((CHECKOUT / "jobs" / "profiles" / "rehearsal.yaml").read_text(encoding="utf-8"))
    profile["teacher"] |= {"examples": 200, "patience_seconds": 1.0}
    path = user.own / "für dich.yaml"
    path.write_text(yaml.safe_dump(profile), encoding="utf-8")
    path.chmod(0o644)
    data = user.run(CORTEX, "run", "data", "--run", run, "--profile", path)
    assert data.returncode == 0, data.stderr
    label = [CORTEX, "run", "label", "--run", run]
    missed = user.run(*label, variables={"CORTEX_TEACHER_URL": f"{NOBODY}/v1"})
    assert missed.returncode == StageError.exit_code and "Traceback" not in missed.stderr, missed.stderr
    assert missed.stderr.splitlines()[-1].startswith("error: "), missed.stderr
    labelled = user.run(*label, variables=PROXIES)
    assert labelled.returncode == 0, labelled.stderr
    verified = user.run(CORTEX, "verify", f".cortex/bucket/runs/{run}/label/artifact")
    assert verified.returncode == 0, verified.stderr


def test_unit_tests_pass(user: PlainUser) -> None:
    done = user.run(".venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", *MODULES)
    print(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
