"""One run of several domains: each has its own examples, rewards, scores and report."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex.settings import CHECKOUT
from tests.rehearsal.conftest import SMALL, Home

pytestmark = [pytest.mark.rehearsal, pytest.mark.drawn("runs")]

TWO: dict[str, Any] = {
    **{key: value for key, value in SMALL.items() if key != "domain"},
    "extends": "rehearsal",
    "name": "two",
    "domains": [
        {"weight": 2, "domain": {"kind": "tally"}},
        {"domain": {"kind": "markets", "style": "compact", **SMALL["domain"]}},
    ],
}


@pytest.fixture(scope="module")
def home(shared_home: Home) -> Home:
    """A home that knows the example of a domain."""
    domains = CHECKOUT / "examples" / "domains"
    return Home(shared_home.folder, {**shared_home.further, "CORTEX_DOMAINS": str(domains)})


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profiles") / "two.yaml"
    path.write_text(yaml.safe_dump(TWO), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(home: Home, profile: Path) -> list[str]:
    """The lines that a run, which nothing disturbed, printed."""
    done = home.rehearse("two", "--profile", profile)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_run_of_two_domains_judges_and_reports_each_apart(home: Home, whole: list[str]) -> None:
    shown = home.show("two")
    assert whole[-2].startswith("rehearsal passed run=two domain=tally score=skill:")
    assert whole[-1].startswith("rehearsal passed run=two domain=markets score=brier_skill:")
    domains = shown["domains"]
    assert list(domains) == ["tally", "markets"]
    assert "usual" in domains["tally"]["scores"] and "oracle" in domains["markets"]["scores"]
    assert {item["domain"] for item in domains["tally"]["scores"].values()} == {"tally"}
    release = Path(shown["release"])
    for name in domains:
        assert {path.name for path in (release / name).iterdir()} == {"evaluation.json", "evaluation.html"}
    assert "brier" not in (release / "tally" / "evaluation.html").read_text(encoding="utf-8").lower()
    card = (release / "README.md").read_text(encoding="utf-8")
    for title in ("## Data of tally", "## Data of markets", "## Scores of tally", "## Scores of markets"):
        assert title in card
    assert home.cortex("verify", release).returncode == 0


@pytest.mark.usefixtures("whole")
def test_a_killed_run_of_two_domains_continues_to_the_same_weights(home: Home, profile: Path) -> None:
    home.kill_during("grpo", "again", "--profile", profile)
    done = home.rehearse("again", "--profile", profile)
    assert done.returncode == 0, done.stdout + done.stderr
    assert home.show("again")["weights"] == home.show("two")["weights"]
