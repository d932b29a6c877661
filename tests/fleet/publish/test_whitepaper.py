"""The whitepaper of a run: everything in it comes from the run's record."""

import ast
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cortex.artifacts.artifact import publish
from cortex.artifacts.folder_store import FolderStore
from cortex.cli import app
from cortex.errors import DataError, UsageError, VerificationError
from cortex.evaluation.chapter import Cell, Chapter, Heading, Row, Table
from cortex.evaluation.record import Evaluation
from cortex.fleet.publish import whitepaper as module
from cortex.fleet.publish.paper_record import read_record
from cortex.fleet.publish.whitepaper import whitepaper
from cortex.profiles.profile import Profile
from cortex.runs.context import artifact_prefix, create_run
from cortex.runs.ledger import Ledger
from tests.artifacts.strategies import write
from tests.evaluation.test_judging import EVALUATION
from tests.hostile import HOSTILE, odd_characters

RUN = "r1"


def finish(store: FolderStore, stage: str, files: dict[str, bytes], folder: Path) -> str:
    return publish(write(folder / stage, files), store, artifact_prefix(RUN, stage), kind=stage).digest


def make_run(store: FolderStore, profile: Profile, folder: Path, evaluation: Evaluation = EVALUATION) -> None:
    """A finished run: two machines, one of them taken away."""
    create_run(store, RUN, profile)
    judged = finish(store, "evaluate", {"evaluation.json": evaluation.to_json().encode()}, folder)
    entry = {"manifest": judged, "inputs": {"export": "e" * 64}, "code": "1", "seeds": {"judging": 4711}}
    provenance = {"base": None, "code": "0.1.0+abc", "profile": profile.digest, "artifacts": {"evaluate": entry}}
    finish(store, "release", {"provenance.json": json.dumps(provenance).encode()}, folder)
    for epoch, (code, seconds) in enumerate(((75, 1800.0), (0, 5400.0)), start=1):
        ledger = Ledger(store, RUN, epoch)
        rented = {"cloud": "aws", "instance_type": "p5", "accelerators": "H100:8", "spot": True}
        since = 1000.0 * epoch
        ledger.append("machine_started", machine=f"i-{epoch}", since=since, dollars_per_hour=12.5, **rented)
        ledger.append("stage_started", stage="sft")
        kind = "stage_failed" if code else "stage_finished"
        ledger.append(kind, stage="sft", seconds=seconds, code=code, reason="PreemptedError: a notice")
        ledger.append("machine_ended", machine=f"i-{epoch}", since=since, seconds=seconds)


def paper_of(store: FolderStore) -> str:
    return whitepaper(read_record(store, RUN))


def test_a_page_has_each_part_with_the_runs_own_numbers(store: FolderStore, profile: Profile, tmp_path: Path) -> None:
    make_run(store, profile, tmp_path)
    paper = paper_of(store)
    parts = ("# rehearsal", "## Method", "## Data", "## Training", "## Verdict", "## Cost", "## Limits", "## Lineage")
    places = [paper.index(part) for part in parts]
    assert places == sorted(places)
    skill = EVALUATION.models["grpo"].intervals["skill"]
    assert f"({skill.low:+z.3f} to {skill.high:+z.3f})" in paper and EVALUATION.verdict.headline in paper.lower()
    assert "| aws, p5, H100:8, spot | 2 | 2.00 | 25.00 |" in paper, "two hours at $12.50"
    assert "| 2.00 h | 2 | 1 |" in paper, "two attempts, of which one was preempted"
    assert "judging 4711" in paper and "The data are simulated" in paper
    assert paper == paper_of(store)


def test_another_record_gives_other_numbers(store: FolderStore, profile: Profile, tmp_path: Path) -> None:
    data = EVALUATION.data.model_copy(update={"test_examples": 918_273, "clusters": 73_645, "resamples": 51_928})
    table = Table(title="Folds", headings=[Heading(title="Gain")], rows=[Row(name="a", cells=[Cell(value=0.31415)])])
    chapter = Chapter(name="folds", title="Walk-forward", sentences=["It held in 6 folds."], tables=[table])
    make_run(store, profile, tmp_path, EVALUATION.model_copy(update={"data": data, "chapters": [chapter]}))
    paper = paper_of(store)
    for number in ("918,273", "73,645", "51,928", "It held in 6 folds", "0.314"):
        assert number in paper


def test_no_number_is_written_by_hand() -> None:
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    forms = [value for node in ast.walk(tree) if isinstance(node, ast.FormattedValue) for value in ast.walk(node)]
    words = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in forms]
    numbers = {str(node.value) for node in words if re.search(r"\d", str(node.value).replace("95%", ""))}
    assert numbers <= {"+z.4f", "3600.0", "0", "1"}, "a format, seconds of an hour, the first letter, and one domain"


def test_texts_of_others_stay_text(store: FolderStore, profile: Profile, tmp_path: Path) -> None:
    make_run(store, profile, tmp_path)
    record = read_record(store, RUN)
    ((evaluation, words),) = record.reports
    text = " ".join(HOSTILE)
    data = evaluation.data.model_copy(update={"source": text, "facts": {text: text}})
    chapter = Chapter.model_construct(title=text, sentences=[text], tables=[])
    hostile = evaluation.model_copy(update={"data": data, "chapters": [chapter]})
    charge = replace(record.machines[0], instance_type=text)
    paper = whitepaper(replace(record, reports=[(hostile, words)], machines=(charge,)))
    assert not odd_characters(paper) and "<script" not in paper


def test_a_run_without_its_record_is_refused(store: FolderStore, profile: Profile, tmp_path: Path) -> None:
    create_run(store, RUN, profile)
    with pytest.raises(DataError, match="has no release"):
        read_record(store, RUN)
    finish(store, "release", {"provenance.json": b"{}"}, tmp_path)
    with pytest.raises(DataError, match="no evaluation"):
        read_record(store, RUN)
    finish(store, "evaluate", {"evaluation.json": EVALUATION.to_json().encode()}, tmp_path)
    with pytest.raises(DataError, match="names no artifacts"):
        read_record(store, RUN)
    (store.local_path(artifact_prefix(RUN, "evaluate")) / "evaluation.json").write_bytes(b"{}")
    with pytest.raises(VerificationError):
        read_record(store, RUN)


def test_the_verb_prints_it_or_writes_it(
    store: FolderStore, profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(store, profile, tmp_path)
    monkeypatch.setenv("CORTEX_BUCKET", store.url)
    assert CliRunner().invoke(app, ["whitepaper", RUN]).stdout == paper_of(store)
    CliRunner().invoke(app, ["whitepaper", RUN, "--to", str(tmp_path / "paper.md")], catch_exceptions=False)
    assert (tmp_path / "paper.md").read_text(encoding="utf-8") == paper_of(store)
    refused = CliRunner().invoke(app, ["whitepaper", RUN, "--to", str(tmp_path / "none/paper.md")])
    assert isinstance(refused.exception, UsageError) and "cannot be written" in str(refused.exception)
