import io
import json
from pathlib import Path

import pytest

from cortex.artifacts.artifact import publish
from cortex.artifacts.store import Store
from cortex.console import Console
from cortex.evaluation.judging import write_report
from cortex.profiles.profile import Profile
from cortex.runs.context import artifact_prefix, create_run
from cortex.runs.ledger import Ledger
from cortex.runs.show import describe_run, last_lines, print_run
from tests.conftest import Cortex
from tests.evaluation.simulation import judge, make_examples, stated

pytestmark = pytest.mark.integration

STAGES = ["data", "label", "sft", "grpo", "export", "evaluate", "release"]


def finish(store: Store, stage: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "made-by").write_text(stage)
    digest = publish(folder, store, artifact_prefix("r1", stage), kind=stage).digest
    ledger = Ledger(store, "r1", 1 + STAGES.index(stage))
    ledger.append("stage_started", stage=stage)
    ledger.append("stage_finished", stage=stage, seconds=10.04, manifest=digest)


@pytest.fixture
def finished(store: Store, profile: Profile, tmp_path: Path) -> Store:
    """A run whose every stage is done, with a real evaluation of made-up forecasts."""
    create_run(store, "r1", profile)
    for stage in STAGES:
        folder = tmp_path / "made" / stage
        if stage == "export":
            (folder / "model").mkdir(parents=True)
            (folder / "model" / "model.safetensors").write_bytes(b"weights")
        if stage == "evaluate":
            folder.mkdir(parents=True)
            examples = make_examples(dates=150, strength=1.2)
            truth = examples.filter(split="test")["oracle_p_up"].to_numpy()
            models = {"base": stated(truth * 0 + 0.5), "sft": stated((truth + 0.5) / 2), "grpo": stated(truth)}
            outcomes = examples.filter(split="test")["outcome"].to_numpy()
            judged = judge({name: each.graded(outcomes) for name, each in models.items()}, examples)
            write_report(judged, folder)
        finish(store, stage, folder)
    return store


def test_show_json_keeps_its_contract(finished: Store, cortex: Cortex) -> None:
    done = cortex("show", "r1", "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["run"], shown["profile"], shown["bucket"]) == ("r1", "rehearsal", finished.url)
    assert Path(shown["release"]).is_dir()
    assert [stage["name"] for stage in shown["stages"]] == STAGES
    for stage in shown["stages"]:
        assert set(stage) == {"name", "state", "seconds", "attempts", "manifest"}
        assert (stage["state"], stage["seconds"], stage["attempts"]) == ("done", 10.0, 1)
        assert len(stage["manifest"]) == 64
    assert {"base", "sft", "grpo", "oracle"} <= set(shown["scores"])
    for item in shown["scores"].values():
        assert {"accuracy", "brier", "brier_skill", "brier_skill_interval", "valid_share"} <= set(item)
        assert (item["domain"], item["loss"], item["skill"]) == ("markets", item["brier"], item["brier_skill"])
        low, high = item["brier_skill_interval"]
        assert low <= item["brier_skill"] <= high
    assert isinstance(shown["verdict"], str) and len(shown["weights"]) == 64


def test_a_rehearsal_ends_with_a_signature_by_the_operators_key_and_says_so(finished: Store, cortex: Cortex) -> None:
    without = cortex("rehearse", "--run", "r1")
    assert without.returncode == 0 and "(unsigned)" in without.stdout, without.stderr
    cortex("keys")
    done = cortex("rehearse", "--run", "r1")
    assert done.returncode == 0 and "(signed by signing.pub (SHA256:" in done.stdout, done.stdout + done.stderr
    assert finished.exists("runs/r1/release/model.sig")
    assert "(signed by signing.pub" in cortex("show", "r1", CORTEX_TRUST="signed").stdout


def test_the_last_line_of_a_rehearsal(finished: Store) -> None:
    described = describe_run(finished, "r1")
    skill, oracle = (described["scores"][name]["brier_skill"] for name in ("grpo", "oracle"))
    line = f"rehearsal passed run=r1 domain=markets score=brier_skill:{skill:.4f} best={oracle:.4f} seconds=70"
    assert last_lines(described) == [line]
    del described["scores"]["oracle"]
    assert "best=n/a" in last_lines(described)[0]


def test_people_see_stages_scores_and_the_verdict(finished: Store) -> None:
    text = io.StringIO()
    described = describe_run(finished, "r1")
    print_run(described, Console(file=text, width=200, highlight=False))
    for word in (*STAGES, described["verdict"], described["release"], "Brier skill"):
        assert word in text.getvalue()


def test_a_run_that_has_only_begun_is_shown_as_such(store: Store, profile: Profile, tmp_path: Path) -> None:
    create_run(store, "r1", profile)
    finish(store, "data", tmp_path / "made")
    described = describe_run(store, "r1")
    assert [stage["state"] for stage in described["stages"]] == ["done"] + ["waiting"] * 6
    assert (described["release"], described["weights"], described["verdict"], described["scores"]) == (
        None,
        None,
        None,
        {},
    )
    print_run(described, Console(file=io.StringIO()))


def test_an_evaluation_that_is_not_the_published_one_is_not_shown(finished: Store, cortex: Cortex) -> None:
    path = finished.local_path(f"{artifact_prefix('r1', 'evaluate')}/evaluation.json")
    assert path
    path.write_text(path.read_text().replace('"outcome": "shown"', '"outcome": "not shown"'))
    done = cortex("show", "r1")
    assert done.returncode == 65 and "evaluation.json" in done.stderr and done.stdout == ""
