"""Dollars of a plan, by the real verb and SkyPilot's own reader, on a small catalog in a home of the test's own."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Cortex
from tests.testbed.catalog import price, write_catalogs

pytestmark = pytest.mark.integration

NOWHERE = "http://127.0.0.1:9"

PIPELINE = """\
name: small
---
name: train
resources: {infra: aws, accelerators: "H100:8", use_spot: true}
run: cortex run sft grpo
---
name: judge
resources: {infra: aws, accelerators: "H100:8", use_spot: false}
run: cortex run evaluate
---
name: export
resources: {infra: aws, accelerators: "H100:1"}
run: cortex run export
"""
"""The catalog sells H100s only by eight, so that one stage has no price."""

SPOT, ON_DEMAND = (price("p5.48xlarge", "us-west-2", spot=spot) for spot in (True, False))
"""The prices in its cheapest region."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "user"
    write_catalogs(home / ".sky" / "catalogs" / "v8", {"us-east-1": "ami-0"})
    return home


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    return path


def variables(home: Path) -> dict[str, str]:
    proxies = {"HTTPS_PROXY": NOWHERE, "https_proxy": NOWHERE, "NO_PROXY": "", "no_proxy": ""}
    return {"HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true", "COLUMNS": "160"} | proxies


def by_stage(found: dict[str, Any], key: str) -> dict[str, list[Any]]:
    stages = dict.fromkeys(phase["stage"] for phase in found["phases"])
    return {stage: [phase[key] for phase in found["phases"] if phase["stage"] == stage] for stage in stages}


def test_each_phase_costs_its_seconds_by_its_own_machines_hour(cortex: Cortex, home: Path, pipeline: Path) -> None:
    done = cortex("plan", "cortex-70b", "--closed", "--json", "--pipeline", pipeline, **variables(home))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    seconds, dollars = by_stage(found, "seconds"), by_stage(found, "dollars")
    for stage, hour in (("sft", SPOT), ("grpo", SPOT), ("evaluate", ON_DEMAND)):
        assert dollars[stage] == pytest.approx([spent / 3600 * hour for spent in seconds[stage]]), stage
    assert set(dollars["export"]) == {None}
    assert list(found["no_dollars"]) == ["export"]
    assert "has no machine for H100:1 aws" in found["no_dollars"]["export"]


def test_the_table_adds_up_and_a_dash_stands_where_there_is_no_price(
    cortex: Cortex, home: Path, pipeline: Path
) -> None:
    done = cortex("plan", "cortex-70b", "--closed", "--pipeline", pipeline, **variables(home))
    assert done.returncode == 0, done.stderr
    cells = re.findall(r"([\d,]+\.\d\d|-) closed form$", done.stdout, re.MULTILINE)
    assert cells.count("-") == 4, "merge, two copies, and their check"
    total = re.search(r"in all [\d.]+ h, \$([\d,]+\.\d\d) and what - stands for, ", done.stdout)
    assert total
    assert float(total[1]) == pytest.approx(sum(float(cell) for cell in cells if cell != "-"), abs=0.1)
    assert "no dollars for export (-): SkyPilot's catalog has no machine for H100:1 aws" in done.stdout


def test_two_machines_cost_twice_the_dollars_an_hour_while_they_train(
    cortex: Cortex, home: Path, pipeline: Path
) -> None:
    done = cortex("plan", "cortex-70b-2n", "--closed", "--json", "--pipeline", pipeline, **variables(home))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for phase in found["phases"]:
        if phase["stage"] in ("sft", "grpo"):
            assert phase["dollars"] == pytest.approx(phase["seconds"] / 3600 * 2 * SPOT)
        elif phase["stage"] == "evaluate":
            assert phase["dollars"] == pytest.approx(phase["seconds"] / 3600 * ON_DEMAND)


def test_without_a_catalog_no_dollars_are_known_and_the_reason_is_said(
    cortex: Cortex, tmp_path: Path, pipeline: Path
) -> None:
    done = cortex("plan", "cortex-70b", "--closed", "--pipeline", pipeline, **variables(tmp_path))
    assert done.returncode == 0, done.stderr
    assert " h, dollars unknown, " in done.stdout
    assert "no dollars for sft, grpo, export, evaluate (-): SkyPilot's catalog " in done.stdout
    assert not re.search(r"\$\d", done.stdout)
    cells = re.findall(r"(\S+) closed form$", done.stdout, re.MULTILINE)
    assert set(cells) == {"-"}
