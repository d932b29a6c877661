"""The page of a run, as text."""

import base64
import gzip
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.errors import DataError, UsageError, VerificationError
from cortex.evaluation.transcripts import TRANSCRIPTS
from cortex.report.gathered_run import gather
from cortex.report.run_page import LARGEST, run_page
from cortex.runs.context import artifact_prefix
from cortex.runs.trial_record import Choice, TrialRecord, enter_choice, enter_trial
from tests.evaluation.test_judging import Page
from tests.report.made_run import HOSTILE

SHOWN = HOSTILE.replace("\x1b", "\\x1b")


@pytest.fixture(scope="module")
def text(made: Store) -> str:
    return run_page(gather(made, "r1"))


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def unpacked(text: str) -> dict[str, Any]:
    found = re.search(r'id="packed">([^<]*)<', text)
    assert found
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


def test_it_says_the_verdict_the_money_the_curves_and_the_origins(text: str, page: Page) -> None:
    told = " ".join(page.words.split())
    for words in (
        "Skill shown",
        "It rests on 500 test examples of 100 decision dates;",
        "was preempted 1 time.",
        "After step 40 it was preempted, and went on from step 32, so that 8 steps were made again.",
        "Parts of the reward",
        "mean reward 0.250 of 1 answers",
        "A gate keeps 80% of the questions.",
        "Revision of the base",
        "Calibration",
    ):
        assert words in told, words
    digests = re.findall(r"\b[0-9a-f]{64}\b", text)
    assert len(set(digests)) == 9, "seven artifacts, the profile and the base"


def test_the_stages_dollars_add_up_to_what_the_run_has_cost(made: Store) -> None:
    run = gather(made, "r1")
    assert sum(attempt.dollars for attempt in run.attempts) == pytest.approx(run.status.spent)
    training = [attempt for attempt in run.attempts if attempt.stage == "grpo"]
    assert [attempt.end for attempt in training] == ["preempted", "done"]
    assert [attempt.dollars for attempt in training] == pytest.approx([1.4, 1.28])


def test_links_lead_to_parts_of_the_page(page: Page) -> None:
    ids = [value for name, value in page.attributes if name == "id"]
    links = [str(value) for name, value in page.attributes if name == "href" and value]
    assert len(ids) == len(set(ids)) and "#chapter-gates-more" in links
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_hostile_texts_are_text(text: str, page: Page) -> None:
    assert SHOWN in page.words and "\x1b" not in text
    assert not {"img", "iframe", "object"} & set(page.tags) and page.tags.count("script") == 2
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert any(SHOWN in answer[4] for answer in unpacked(text)["answers"])


def test_the_policy_allows_the_one_script_and_no_network(text: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert policy and script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert policy[1].startswith("default-src 'none';") and f"script-src 'sha256-{digest}'" in policy[1]
    assert "http" not in policy[1] and len(text.encode()) <= LARGEST


def test_every_answer_is_in_the_pack_with_its_grade(text: str) -> None:
    data = unpacked(text)
    assert data["models"] == ["base", "sft", "grpo"]
    assert (len(data["questions"]), len(data["answers"])) == (500, 1500)
    assert sum(flags == 2 for _, _, _, flags, _ in data["answers"]) == 30
    assert all(0 <= loss <= 1 for _, _, loss, _, _ in data["answers"])


def test_a_run_that_has_only_begun_has_a_page_that_says_so(made: Store) -> None:
    page = Page(run_page(gather(made, "r3")))
    for words in (
        "There is no verdict: the run is not evaluated (its stage evaluate is waiting).",
        "Its ledger is empty.",
        "No stage has trained yet.",
        "The dataset is not built yet.",
        "No stage has published an artifact yet.",
    ):
        assert words in page.words
    assert "script" not in page.tags


@pytest.fixture
def copied(made: Store, tmp_path: Path) -> tuple[Store, Path]:
    """A copy of the run that may be damaged, and the folder of its evaluation."""
    bucket = made.local_path("")
    assert bucket
    shutil.copytree(bucket, tmp_path / "bucket", dirs_exist_ok=True)
    store = open_store(str(tmp_path / "bucket"))
    return store, tmp_path / "bucket" / artifact_prefix("r1", "evaluate")


def test_a_stage_that_was_killed_while_it_published_has_made_nothing(copied: tuple[Store, Path]) -> None:
    store, folder = copied
    (folder / "manifest.json").unlink()
    run = gather(store, "r1")
    assert not run.evaluations and not run.transcripts


def test_the_search_that_chose_the_run_is_named(copied: tuple[Store, Path], text: str) -> None:
    store, _ = copied
    trial = TrialRecord(search="rates", number=2, run="r1", parameters={"sft.optimizer": HOSTILE}, dollars=0.0)
    enter_trial(store, trial)
    enter_choice(store, "r1", Choice(search="rates", trials=4))
    changed = run_page(gather(store, "r1"))
    words = " ".join(Page(changed).words.split())
    assert "trial 2 of search rates: sft.optimizer " in words and "; chosen among 4 trials by validation" in words
    assert HOSTILE not in changed and "of search" not in text
    with pytest.raises(DataError, match="run r1 was chosen otherwise"):
        enter_choice(store, "r1", Choice(search="rates", trials=1))


def test_a_transcript_that_is_not_the_published_one_is_refused(copied: tuple[Store, Path]) -> None:
    store, folder = copied
    path = folder / TRANSCRIPTS
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(VerificationError, match=r"transcripts\.parquet is not what its manifest says"):
        gather(store, "r1")


def test_a_run_that_is_not_there_is_a_sentence(store: Store) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        gather(store, "nowhere")
