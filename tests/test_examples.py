"""The examples, each run as a user would."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cortex.domains.scaffold import scaffold
from cortex.settings import CHECKOUT
from tests.conftest import Cortex
from tests.tables import write_csv

EXAMPLES = CHECKOUT / "examples"


def call(*words: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **variables}
    return subprocess.run(
        [*map(str, words)], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
    )


def test_prices_of_ones_own_become_examples_and_a_profile(tmp_path: Path) -> None:
    prices, folder = write_csv(tmp_path / "my prices.csv"), tmp_path / "made of it"
    folder.mkdir()
    done = call(EXAMPLES / "own_prices.sh", prices, folder)
    assert done.returncode == 0, done.stderr
    assert "556 examples of 2 symbols" in " ".join(done.stdout.split())
    assert done.stdout.splitlines()[-1] == f"now: make rehearse PROFILE={folder}/profile.yaml"
    assert (folder / "examples" / "manifest.json").exists()
    written = (folder / "profile.yaml").read_text(encoding="utf-8")
    assert written.startswith("extends: rehearsal\n") and str(prices) in written


def test_prices_that_nobody_can_read_are_refused_before_a_profile_is_written(tmp_path: Path) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text("symbol,date,open,high,low,close\nBTC,01/02/2024,1,1,1,1\n")
    done = call(EXAMPLES / "own_prices.sh", prices, tmp_path / "made")
    assert done.returncode == 65 and "01/02/2024" in done.stderr
    assert not (tmp_path / "made" / "profile.yaml").exists()


def test_the_kit_as_a_library(tmp_path: Path) -> None:
    done = call(sys.executable, EXAMPLES / "python_api.py", CORTEX_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["rehearsal: markets, seed 0", "data: done"]
    assert lines[3].endswith("all as published") and str(tmp_path) in lines[3]
    assert lines[4:] == ["train: 4,896 examples", "validation: 1,212 examples", "test: 2,028 examples"]


def test_the_domain_is_what_is_scaffolded_and_keeps_its_contract(cortex: Cortex, tmp_path: Path) -> None:
    made = scaffold("tally", tmp_path)
    for path in made:
        example = EXAMPLES / "domains" / path.relative_to(tmp_path)
        assert example.read_text(encoding="utf-8") == path.read_text(encoding="utf-8"), "`cortex domain init tally`"
    found = cortex("domain", "check", "tally", CORTEX_DOMAINS=str(EXAMPLES / "domains"))
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("path", [path for path in EXAMPLES.iterdir() if path.is_file()], ids=lambda path: path.name)
def test_each_is_short_and_has_its_line_in_the_list(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60
    assert path.name == "README.md" or f"({path.name})" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
