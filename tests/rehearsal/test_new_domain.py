"""A new domain in a folder outside of the checkout goes through the whole pipeline, and the model learns it."""

from pathlib import Path
from typing import Any

import pytest

from cortex.domains.scaffold import scaffold
from tests.rehearsal.conftest import Home

pytestmark = [pytest.mark.rehearsal, pytest.mark.drawn("runs")]


@pytest.fixture(scope="module")
def home(shared_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that knows a folder of domains, with one that `cortex domain init` wrote there."""
    domains = tmp_path_factory.mktemp("domains")
    scaffold("tally", domains)
    return Home(shared_home.folder, {**shared_home.further, "CORTEX_DOMAINS": str(domains)})


def test_a_new_domain_is_learned_with_no_file_of_the_kit_touched(home: Home) -> None:
    profile = Path(home.variables["CORTEX_DOMAINS"]) / "rehearsal-tally.yaml"
    done = home.rehearse("tally", "--profile", profile)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = home.show("tally")
    scores: dict[str, Any] = shown["scores"]
    assert scores["grpo"]["domain"] == "tally"
    low, _ = scores["grpo"]["skill_interval"]
    assert low > 0.5, scores
    assert scores["usual"]["skill"] == 0
    last = f"rehearsal passed run=tally domain=tally score=skill:{scores['grpo']['skill']:.4f} best=n/a seconds="
    assert done.stdout.splitlines()[-1].startswith(last), done.stdout
    card = (Path(shown["release"]) / "README.md").read_text(encoding="utf-8")
    assert "tally" in card and "Brier" not in card and "market" not in card.lower()
    page = next(home.folder.glob("bucket/runs/tally/evaluate/artifact/evaluation.html")).read_text(encoding="utf-8")
    assert "Brier" not in page and "forecast" not in page.lower() and "market" not in page.lower()
