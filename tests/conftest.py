"""Fixtures of several folders of tests: a small profile, an empty store, and the program itself."""

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.settings import CHECKOUT
from tests.drawn_cases import draw_cases

Cortex = Callable[..., "subprocess.CompletedProcess[str]"]

os.environ["CORTEX_ENV_FILE"] = os.devnull  # a developer's own `.env` must not lead tests into their bucket

DRAWN = {"bed": 1, "runs": 2}
"""Number of tests marked `drawn("<group>")` that each run of the checks takes, by group."""

EXPECTED = "expected: "
"""Begins the reason of a skip that is right wherever the checks run, such as of a test for machines with a GPU."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under CORTEX_STRICT a skip fails, so that no check is left out unseen."""
    report = yield
    if report.skipped and os.environ.get("CORTEX_STRICT") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(EXPECTED) and not hasattr(report, "wasxfail"):
            report.outcome = "failed"
            report.longrepr = f"skipped, which the strict checks do not allow: {reason}"
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the long tests that this run of the checks has not drawn. By hand, all that are named run."""
    if "CORTEX_DRAW" not in os.environ:
        return
    for group, count in DRAWN.items():
        long = [item for item in items if any(mark.args == (group,) for mark in item.iter_markers("drawn"))]
        if len(long) > count:
            taken = draw_cases(long, count)
            left_out = [item for item in long if item not in taken]
            items[:] = [item for item in items if item not in left_out]
            config.hook.pytest_deselected(items=left_out)
            print(f"left out this time: {', '.join(item.nodeid for item in left_out)}")


@pytest.fixture(autouse=True)
def tracebacks() -> Generator[None, None, None]:
    """After an error of its own SkyPilot leaves Python without tracebacks, and Pulumi, which finds its caller by one,
    fails."""
    yield
    if hasattr(sys, "tracebacklimit"):
        del sys.tracebacklimit


@pytest.fixture
def profile() -> Profile:
    return load_profile("rehearsal")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "home" / "bucket"))


@pytest.fixture
def cortex(tmp_path: Path) -> Cortex:
    """Run `cortex WORDS...` as a program whose home is this test's own."""

    def call(*words: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "cortex", *map(str, words)],
            env=environment(tmp_path) | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return call


def environment(tmp_path: Path) -> dict[str, str]:
    """The variables of such a program."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("CORTEX_", "RUN_ID"))}
    mine = {"CORTEX_HOME": str(tmp_path / "home"), "CORTEX_ENV_FILE": str(tmp_path / ".env")}
    return others | mine | {"PYTHONPATH": str(CHECKOUT)}
