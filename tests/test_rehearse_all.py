"""All rehearsals by one command: planned, continued past a failure, and held to what their profiles expect."""

import io
from pathlib import Path

import pytest

from cortex.artifacts.artifact import publish
from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.console import Console
from cortex.errors import ConfigError, UsageError
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile, read_expectation
from cortex.runs.context import artifact_prefix, create_run
from cortex.runs.model_standing import Beaten, Standing
from scripts.rehearse_all import Recipe, Scored, plan, print_scores, read_score, read_seeds, rehearse
from tests.report.made_run import make_run


def test_every_rehearsal_is_planned_for_every_seed_and_expects_what_its_profile_says() -> None:
    recipes = plan([], (0, 2))
    assert len({recipe.run for recipe in recipes}) == len(recipes)
    assert {recipe.seed for recipe in recipes} == {0, 2}
    assert not [recipe for recipe in recipes if load_profile(recipe.profile).hardware.device != "cpu"]
    expected = {recipe.profile: recipe.expected for recipe in recipes}
    assert expected["rehearsal-currencies"] == "none", "nothing tells the next fixing"
    assert expected["rehearsal-currencies-planted"] == "reference", "an expectation is not inherited"
    assert expected["rehearsal-gym"] == "all", "the default"


def test_a_profiles_own_seed_is_the_default() -> None:
    assert [recipe.seed for recipe in plan(["rehearsal"], ())] == [load_profile("rehearsal").seed]


@pytest.mark.parametrize("text", ["0,x", "-1", "1.5"])
def test_what_is_no_seed_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no seed"):
        read_seeds(text)
    assert read_seeds(" 0, 2,0") == (0, 2)


def test_a_recipe_that_is_no_rehearsal_is_refused() -> None:
    with pytest.raises(UsageError, match="no rehearsal 'rehersal': did you mean 'rehearsal'"):
        plan(["rehersal"], ())


def test_an_expectation_is_one_of_three(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: rehearsal\nname: a\nexpect: some\n")
    with pytest.raises(ConfigError, match="expect is one of all, reference, none"):
        read_expectation(str(tmp_path / "a.yaml"))
    assert load_profile(str(tmp_path / "a.yaml")).digest, "a run's result does not depend on it"


@pytest.mark.parametrize(
    ("beaten", "expected", "met"),
    [
        ("all", "all", True),
        ("reference", "all", False),
        ("all", "reference", True),
        ("none", "reference", False),
        ("none", "none", True),
    ],
)
def test_more_than_expected_is_right_and_less_is_not(beaten: Beaten, expected: str, met: bool) -> None:
    one = Standing("skill", 0.5, 0.4, 0.6, None, "usual", 0.1, beaten)
    assert Scored({"a": one}, 1.0).meets(expected) is met
    assert not Scored({"a": one, "b": Standing("skill", 0, -1, 1, None, "usual", 0, "none")}, 1.0).meets("all")


@pytest.mark.integration
def test_a_failure_does_not_end_the_others_and_what_is_finished_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CORTEX_HOME", str(tmp_path))
    store = open_store(str(tmp_path / "bucket"))
    missing = {"domain.source": {"kind": "files", "paths": [str(tmp_path / "none.csv")]}}
    create_run(store, "fails", load_profile("rehearsal", missing))
    create_run(store, "done", load_profile("rehearsal"))
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "file").write_text("made")
    publish(tmp_path / "made", store, artifact_prefix("done", "release"), kind="release")
    recipes = [Recipe("rehearsal", seed, run, "all") for seed, run in enumerate(("fails", "done"))]
    assert rehearse(recipes, store) == 0
    said = capfd.readouterr()
    assert "none.csv" in said.err and said.err.count("error: ") == 1
    assert "2 of 2: rehearsal, seed 1: finished as run done" in said.out
    assert read_score(store, "fails") is None


def test_the_table_has_scores_with_intervals_and_what_is_not_finished(
    store: Store, profile: Profile, tmp_path: Path
) -> None:
    make_run(store, profile, tmp_path / "made", run="one")
    found = read_score(store, "one")
    assert found and found.meets("reference") and list(found.standings) == ["markets"]
    each = found.standings["markets"]
    out = io.StringIO()
    scored = {Recipe("rehearsal", 0, "one", "all"): found, Recipe("rehearsal", 1, "two", "none"): None}
    print_scores(scored, Console(file=out, width=200))
    head, first, second, *_ = (line.split("  ") for line in out.getvalue().splitlines())
    row = [cell.strip() for cell in first if cell.strip()]
    assert row[:4] == ["rehearsal", "0", f"brier_skill {each.value:+.3f}", f"{each.low:+.3f} to {each.high:+.3f}"]
    assert row[4].endswith(f"{each.baseline_value:+.3f}") and row[5:7] == [each.beaten, "all"]
    assert [cell.strip() for cell in second if cell.strip()] == ["rehearsal", "1", "not finished", "none"]
    assert "95% interval" in "".join(head)
