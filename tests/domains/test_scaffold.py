import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cortex.domains.scaffold import scaffold
from cortex.errors import UsageError
from cortex.settings import CHECKOUT


def cortex(*words: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "cortex", *map(str, words)]
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.integration
def test_a_new_domain_keeps_its_contract_as_it_is(tmp_path: Path) -> None:
    made = cortex("domain", "init", "tally", "--into", tmp_path)
    assert made.returncode == 0, made.stderr
    found = cortex("domain", "check", "tally", "--json", CORTEX_DOMAINS=str(tmp_path))
    assert found.returncode == 0, found.stderr
    kept = {promise["name"]: promise["detail"] for promise in json.loads(found.stdout)}
    assert kept["gold answer"] == "loses least in 200 examples"
    assert len((tmp_path / "tally" / "__init__.py").read_text(encoding="utf-8").splitlines()) <= 120
    shown = cortex("profile", "show", tmp_path / "rehearsal-tally.yaml", CORTEX_DOMAINS=str(tmp_path))
    assert 'kind: "tally"' in shown.stdout, shown.stderr
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path / "test_tally.py"]
    environment = {**os.environ, "CORTEX_DOMAINS": str(tmp_path), "PYTHONPATH": str(CHECKOUT)}
    tried = subprocess.run(tests, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "2 passed" in tried.stdout, tried.stdout


def test_the_example_of_the_docs_is_what_is_written(tmp_path: Path) -> None:
    scaffold("tally", tmp_path)
    text = (CHECKOUT / "docs" / "domains.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert shown == (tmp_path / "tally" / "__init__.py").read_text(encoding="utf-8")
    assert len(shown.splitlines()) < 100


@pytest.mark.parametrize(
    ("name", "message"),
    [("Markets", "is no name for a domain"), ("1st", "is no name"), ("markets", "there is a domain 'markets'")],
)
def test_a_name_that_cannot_be_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        scaffold(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_over(tmp_path: Path) -> None:
    first = scaffold("mine", tmp_path)
    first[0].unlink()
    first[1].write_text("kept")
    with pytest.raises(UsageError, match=r"rehearsal-mine\.yaml is there"):
        scaffold("mine", tmp_path)
    assert first[1].read_text() == "kept" and not first[0].exists()


def test_a_place_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").symlink_to("/nowhere/test_mine.py")  # can neither be seen nor written
    with pytest.raises(UsageError, match=r"test_mine\.py cannot be written \(No such file or directory\)"):
        scaffold("mine", tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
