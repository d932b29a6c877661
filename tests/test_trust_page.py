import re

import pytest

from cortex.settings import CHECKOUT

NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (CHECKOUT / "docs" / "trust.md").read_text())))


def test_the_page_names_a_test_in_every_row() -> None:
    page = (CHECKOUT / "docs" / "trust.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 10
    for row in rows:
        assert re.search(r"`tests/[\w/]+\.py::\w+`", row.split("|")[-2]), row


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda word: str(word).rpartition("/")[2])
def test_what_the_page_names_is_there(path: str, name: str) -> None:
    text = (CHECKOUT / path).read_text()
    assert re.search(rf"^def {name}\(", text, re.MULTILINE), f"docs/trust.md names {path}::{name}"


def test_a_check_of_the_ground_that_the_page_names_is_among_those_that_are_run() -> None:
    run = (CHECKOUT / "tests/infra/checks/__init__.py").read_text()
    checks = [(path, name) for path, name in NAMED if path.startswith("tests/infra/checks/")]
    assert len(checks) >= 5
    for path, name in checks:
        module = path.rpartition("/")[2].removesuffix(".py")
        assert f"{module}.{name}," in run, name
