import shutil
import stat
import sys
from pathlib import Path

import pytest

from cortex.variables import surroundings
from cortex.variables.surroundings import LOOPBACK, SKY_CONFIG, complete_environment

ALL = ",".join(LOOPBACK)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"no_proxy": ALL, "NO_PROXY": ALL}),
        ({"NO_PROXY": "corp"}, {"NO_PROXY": f"corp,{ALL}"}),
        ({"no_proxy": "corp, localhost"}, {"no_proxy": "corp,localhost,127.0.0.1,::1"}),
        ({"no_proxy": "*"}, {"no_proxy": "*"}),
    ],
)
def test_loopback_goes_through_no_proxy(given: dict[str, str], expected: dict[str, str], tmp_path: Path) -> None:
    complete_environment(environment := {"HOME": str(tmp_path), **given})
    assert {name: value for name, value in environment.items() if name.lower() == "no_proxy"} == expected


def test_caches_stay_where_they_can_be_written_and_go_to_the_kit_s_folder_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path, tmp_path / "to be made"):
        complete_environment(environment := {"HOME": str(home)})
        assert "XDG_CACHE_HOME" not in environment
    complete_environment(environment := {"HOME": str(tmp_path / "file"), "CORTEX_HOME": str(tmp_path / "kit")})
    assert environment["XDG_CACHE_HOME"] == str(tmp_path / "kit" / "cache")


def test_programs_that_came_with_the_kit_are_found_after_a_user_s_own(tmp_path: Path) -> None:
    """SkyPilot treats AWS as not installed where it finds no `aws`."""
    complete_environment(environment := {"PATH": str(tmp_path)})
    found = shutil.which("aws", path=environment["PATH"])
    assert found is not None and Path(found).parent == Path(sys.executable).parent
    (tmp_path / "aws").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "aws").chmod(stat.S_IRWXU)
    assert shutil.which("aws", path=environment["PATH"]) == str(tmp_path / "aws")
    before = dict(environment)
    complete_environment(environment)
    assert environment == before


def test_skypilot_is_configured_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "ROOT", tmp_path)
    complete_environment(environment := {})
    assert SKY_CONFIG not in environment
    (tmp_path / ".sky.yaml").write_text("aws: {}\n", encoding="utf-8")
    complete_environment(environment)
    assert environment[SKY_CONFIG] == str(tmp_path / ".sky.yaml")
    complete_environment(environment := {SKY_CONFIG: "mine.yaml"})
    assert environment[SKY_CONFIG] == "mine.yaml"


def test_the_variable_is_skypilot_s() -> None:
    from sky import skypilot_config

    assert skypilot_config.ENV_VAR_PROJECT_CONFIG == SKY_CONFIG
