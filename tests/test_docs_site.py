"""The documentation's site, built as `make docs` builds it: no link leads nowhere, and nothing is fetched."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cortex.settings import CHECKOUT
from scripts.check import DOCS

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not DOCS.exists(), reason="the docs environment is not installed: make docs"),
]

FETCHED = re.compile(
    r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//|<link[^>]* rel="stylesheet"[^>]* href="(?:https?:)?//'
)


def build(checkout: Path, site: Path) -> "subprocess.CompletedProcess[str]":
    # A proxy that does not exist: what the build would fetch, it cannot.
    variables = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "https_proxy": "http://127.0.0.1:9"}
    command = [DOCS, "-m", "mkdocs", "build", "--strict", "--site-dir", site]
    return subprocess.run(command, cwd=checkout, env=variables, capture_output=True, text=True, check=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    others = shutil.ignore_patterns(".*", "__pycache__", "tests", "infra", "images")
    return shutil.copytree(CHECKOUT, tmp_path / "checkout", ignore=others)


def test_every_page_is_built_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    built = build(CHECKOUT, tmp_path)
    assert built.returncode == 0, built.stdout + built.stderr
    names = ["index.html", "ARCHITECTURE.html", "CONTRIBUTING.html", "CHANGELOG.html"]
    names += [f"docs/{page.stem}.html" for page in (CHECKOUT / "docs").glob("*.md")]
    for name in names:
        page = (tmp_path / name).read_text(encoding="utf-8")
        assert "<h1" in page, name
        assert not FETCHED.search(page), f"{name} fetches {FETCHED.search(page)}"


@pytest.mark.parametrize(
    ("page", "line", "named"),
    [
        ("README.md", "[a page](docs/none.md)", "docs/none.md"),
        ("README.md", "[a heading](docs/data.md#no-such-heading)", "no-such-heading"),
        ("docs/data.md", "[its own heading](#no-such-heading)", "no-such-heading"),
        ("docs/data.md", "[code](../cortex/none.py)", "cortex/none.py"),
        ("ARCHITECTURE.md", "[a picture](/docs/none.svg)", "/docs/none.svg"),
    ],
)
def test_a_link_that_leads_nowhere_fails(page: str, line: str, named: str, checkout: Path, tmp_path: Path) -> None:
    path = checkout / page
    path.write_text(path.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    built = build(checkout, tmp_path / "site")
    assert built.returncode != 0 and named in built.stdout + built.stderr


def test_a_page_that_the_menu_leaves_out_fails(checkout: Path, tmp_path: Path) -> None:
    (checkout / "docs" / "new.md").write_text("# New\n")
    built = build(checkout, tmp_path / "site")
    assert built.returncode != 0 and "docs/new.md" in built.stdout + built.stderr
