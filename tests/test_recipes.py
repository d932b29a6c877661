"""The table of recipes in README: what `make recipes` writes, from shipped profiles and recorded runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cortex.artifacts.open_store import open_store
from cortex.errors import DataError
from cortex.profiles.profile_file import PROFILES, load_profile
from cortex.runs.context import create_run
from cortex.settings import CHECKOUT
from scripts.recipes import KEPT, README, measure, render, with_table
from tests.testbed.catalog import price as catalog_price
from tests.testbed.catalog import write_catalogs


def rows(table: str) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_readme_has_the_table_that_the_command_writes() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_table(text, render(json.loads(KEPT.read_text(encoding="utf-8")))) == text, "run `make recipes`"


def test_every_shipped_profile_has_a_row_and_nothing_is_claimed_of_what_was_not_run() -> None:
    table = rows(render({}))
    assert set(table) == {path.stem for path in PROFILES.glob("*.yaml")}
    assert {tuple(row[4:]) for row in table.values()} == {("not run", "", "")}
    assert table["rehearsal"] == ["markets", "`make rehearse`", "", "0", "not run", "", ""]
    assert table["cortex-8b"][1:4] == ["`make train PROFILE=cortex-8b`", "218 estimated", "40 at most"]


def test_a_row_shows_what_was_measured_and_priced() -> None:
    measured = {"seconds": 252, "score": "skill", "value": 0.3, "best": 0.41239, "threads": 2, "commit": "abc1234"}
    table = rows(render({"rehearsal": {"measured": measured}, "cortex-8b": {"priced": {"dollars": 17}}}))
    assert table["rehearsal"][2:] == ["4.2 on 2 cores", "0", "skill 0.3000 of 0.4124", "", "`abc1234`"]
    assert table["cortex-8b"][3] == "17 estimated, 40 at most"
    known = {"best": None, "interval": [0.2512, 0.3498], "baseline": "logistic regression", "baseline_value": 0.12}
    row = rows(render({"rehearsal": {"measured": measured | known}}))["rehearsal"]
    assert row[4:6] == ["skill 0.3000 (0.251 to 0.350)", "logistic regression 0.1200"]


@pytest.mark.parametrize(
    ("sets", "message"),
    [([], r"run 'r1' has no release yet: .*RUN=r1"), (["seed=7"], "run 'r1' was made with values of its own")],
)
def test_only_a_finished_run_of_a_shipped_profile_is_recorded(sets: list[str], message: str, tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    create_run(store, "r1", load_profile("rehearsal", sets=sets))
    with pytest.raises(DataError, match=message):
        measure(store, "r1")


def test_dollars_are_those_of_the_machines_that_the_catalog_has(tmp_path: Path) -> None:
    write_catalogs(tmp_path / ".sky" / "catalogs" / "v8", {"us-east-1": "ami-0"})
    code = (
        "import json; from scripts.recipes import load_profile, price; "
        "print(json.dumps(price(load_profile('cortex-70b'))))"
    )
    variables = {**os.environ, "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    variables |= {"https_proxy": "http://127.0.0.1:9", "CORTEX_BUCKET": "s3://kit"}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=CHECKOUT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["spot_dollars_per_hour"] == catalog_price("p5.48xlarge", "us-west-2", spot=True)
    assert 2.8 * found["spot_dollars_per_hour"] <= found["dollars"] <= 250, "2.8 hours of work, and preemptions"
