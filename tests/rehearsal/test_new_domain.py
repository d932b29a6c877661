"""A new domain in a folder outside of the checkout goes through the whole pipeline, and the model learns it.

Its teacher knows what to count only from a prompt, which the model never sees.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from cortex.domains.scaffold import scaffold
from tests.rehearsal.conftest import Home

pytestmark = [pytest.mark.rehearsal, pytest.mark.drawn("runs")]

COUNTED = '0 if errs else letters.count("a")'
COUNTED_IF_TOLD = 'letters.count("a") if not errs and "count the letter a" in question.messages[0].content else 0'
GUIDE = f"You examine words with great care. {'Look at every letter of the word, one after another. ' * 20}Then count \
the letter a, and nothing else."


@pytest.fixture(scope="module")
def home(shared_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that knows a folder of domains, with one that `cortex domain init` wrote there."""
    domains = tmp_path_factory.mktemp("domains")
    scaffold("tally", domains)
    module = domains / "tally" / "__init__.py"
    text = module.read_text(encoding="utf-8")
    assert COUNTED in text
    module.write_text(text.replace(COUNTED, COUNTED_IF_TOLD), encoding="utf-8")
    (domains / "guide.md").write_text(GUIDE, encoding="utf-8")
    return Home(shared_home.folder, {**shared_home.further, "CORTEX_DOMAINS": str(domains)})


def test_a_new_domain_is_learned_with_no_file_of_the_kit_touched(home: Home) -> None:
    profile = Path(home.variables["CORTEX_DOMAINS"]) / "rehearsal-tally.yaml"
    prompted = ("--set", f"teacher.prompt.file={profile.parent / 'guide.md'}")
    done = home.rehearse("tally", "--profile", profile, *prompted)
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
    accepted = next(home.folder.glob("bucket/runs/tally/label/artifact/accepted.jsonl")).read_text(encoding="utf-8")
    assert "great care" not in accepted and "one after another" not in accepted
    distilled = json.loads((Path(shown["release"]) / "evaluation.json").read_text(encoding="utf-8"))["distillation"]
    student, teacher, sft, base = distilled["contenders"]
    assert [each["prompted"] for each in distilled["contenders"]] == [False, True, False, False]
    assert (student["name"], teacher["name"], sft["name"], base["name"]) == ("grpo", "teacher", "sft", "base")
    assert min(each["skill_interval"]["low"] for each in (student, sft)) > 0.5 and base["skill"] < 0.2
    assert distilled["examples"] == 200 and distilled["tokens_saved"] > 100
    assert "never seen" in card
    page = next(home.folder.glob("bucket/runs/tally/evaluate/artifact/evaluation.html")).read_text(encoding="utf-8")
    assert "Brier" not in page and "forecast" not in page.lower() and "market" not in page.lower()
