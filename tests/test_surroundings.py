from pathlib import Path

import pytest

from cortex.surroundings import LOOPBACK, settle

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
    environment = {"HOME": str(tmp_path), **given}
    settle(environment)
    assert environment == {"HOME": str(tmp_path), **expected}


def test_caches_stay_where_they_can_be_written_and_go_to_the_kit_s_folder_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home in (tmp_path, tmp_path / "to be made"):
        settle(environment := {"HOME": str(home)})
        assert "XDG_CACHE_HOME" not in environment
    settle(environment := {"HOME": str(tmp_path / "file"), "CORTEX_HOME": str(tmp_path / "kit")})
    assert environment["XDG_CACHE_HOME"] == str(tmp_path / "kit" / "cache")
