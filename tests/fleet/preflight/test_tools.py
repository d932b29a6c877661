"""The programs that SkyPilot needs, searched on a PATH that has some of them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sky.server import common

from cortex.fleet.preflight.ground import Ground
from cortex.fleet.preflight.tools_check import NEEDED, check
from cortex.profiles.profile import Profile
from cortex.settings import Settings


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SKYPILOT_API_SERVER_ENDPOINT", raising=False)
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    forget_server()
    yield folder
    forget_server()


def forget_server() -> None:
    """Clear SkyPilot's cache: it looks up the server's name once in a process."""
    asked: list[Any] = [common.get_server_url, common.is_api_server_local]
    for function in asked:
        function.cache_clear()


def give(path: Path, *programs: str) -> None:
    for program in programs:
        (path / program).write_text("#!/bin/sh\n")
        (path / program).chmod(0o755)


@pytest.mark.parametrize("there", [("ssh", "rsync"), ("ssh",), ("rsync",), ()])
def test_what_is_missing_is_named_with_its_package(there: tuple[str, ...], profile: Profile, path: Path) -> None:
    give(path, *there)
    found = check(Ground(profile, None, Settings(), []))
    missing = [program for program in ("ssh", "rsync") if program not in there]
    assert found.ok == (not missing)
    assert all(f"{program}" in found.detail.split() for program in missing)
    packages = " ".join(NEEDED[program] for program in missing)
    assert found.fix is None if not missing else f"`sudo apt-get install {packages}`" in str(found.fix)


def test_a_program_that_cannot_be_run_is_not_there(profile: Profile, path: Path) -> None:
    give(path, "ssh", "rsync")
    (path / "rsync").chmod(0o644)
    assert not check(Ground(profile, None, Settings(), [])).ok


def test_another_machines_server_brings_its_own(profile: Profile, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYPILOT_API_SERVER_ENDPOINT", "http://203.0.113.9:46580")
    assert shutil.which("ssh") is None and check(Ground(profile, None, Settings(), [])).ok
