"""`cortex report` and `cortex show`, as programs."""

from pathlib import Path

import pytest

from cortex.artifacts.store import Store
from cortex.errors import UsageError
from cortex.profiles.profile import Profile
from cortex.report.report_file import write_run
from cortex.report.report_place import has_browser, report_path
from cortex.runs.context import create_run
from tests.conftest import Cortex


@pytest.mark.integration
def test_the_page_is_written_below_the_home_and_show_names_it(
    store: Store, profile: Profile, cortex: Cortex, tmp_path: Path
) -> None:
    create_run(store, "r1", profile)
    done = cortex("report", "r1")
    page = report_path(tmp_path / "home", "r1")
    assert done.returncode == 0 and done.stdout == f"{page}\n", done.stderr
    assert "There is no verdict" in page.read_text(encoding="utf-8")
    assert cortex("show", "r1").stdout.endswith(f"report: {page}\n")
    refused = cortex("report", "r1", "r1")
    assert refused.returncode == 2 and "r1 is named twice" in refused.stderr


def test_a_page_that_cannot_be_written_is_a_sentence(store: Store, profile: Profile, tmp_path: Path) -> None:
    create_run(store, "r1", profile)
    with pytest.raises(UsageError, match=f"{tmp_path} cannot be written: .*--out"):
        write_run(store, "r1", tmp_path, out=tmp_path)


def test_a_browser_is_looked_for_on_a_desktop_alone() -> None:
    assert has_browser({"DISPLAY": ":0"}, "linux") and has_browser({"WAYLAND_DISPLAY": "w"}, "linux")
    assert has_browser({}, "darwin")
    assert not has_browser({"SSH_CONNECTION": "x", "DISPLAY": ""}, "linux")
