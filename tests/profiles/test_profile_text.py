import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cortex.profiles.profile_file import PROFILES, draft_profile, load_profile
from cortex.profiles.profile_text import DEFAULT, annotate_profile, profile_schema, value_origins
from cortex.settings import CHECKOUT
from cortex.yaml_reader import read_yaml

SHIPPED = sorted(path.stem for path in PROFILES.glob("*.yaml"))
SCHEMA = CHECKOUT / "jobs" / "profile.schema.json"


def profile_verb(*words: str) -> str:
    command = [sys.executable, "-m", "cortex", "profile", *words]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shown_is_the_same_profile(name: str, tmp_path: Path) -> None:
    draft = draft_profile(name, sets=["seed=11", 'teacher.model="a # b"'])
    path = tmp_path / "shown.yaml"
    path.write_text(annotate_profile(draft, draft.checked()), encoding="utf-8")
    assert load_profile(str(path)) == draft.checked()


def test_each_line_says_where_its_value_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("extends: rehearsal\nname: a\nsft: {max_steps: 7}\n", encoding="utf-8")
    draft = draft_profile(str(path), sets=["grpo.learning_rate=1e-5"])
    lines = [line.strip() for line in annotate_profile(draft, draft.checked()).splitlines()]
    assert [line.split("#")[1].strip() for line in lines if line.startswith("max_steps: 7 ")] == [str(path)]
    assert [line.split("#")[1].strip() for line in lines if line.startswith("learning_rate: 1.0e-05")] == [
        "--set grpo.learning_rate=1e-5"
    ]
    assert "sft:" in lines  # a section comes from many places
    found = value_origins(draft, draft.checked())
    assert found["sft.max_steps"] == str(path)
    assert found["model.scratch.layers"] == "jobs/profiles/rehearsal.yaml"
    assert found["model.revision"] == DEFAULT


def test_the_verb_shows_it_to_people_and_programs() -> None:
    assert yaml.safe_load(profile_verb("show", "cortex-8b-full"))["model"]["adapter"] is None
    shown = json.loads(profile_verb("show", "cortex-8b-full", "--json", "--set", "seed=3"))
    assert shown["profile"] == load_profile("cortex-8b-full", {"seed": 3}).model_dump(mode="json")
    assert (shown["origins"]["seed"], shown["origins"]["hardware.gpus"], shown["origins"]["teacher.model"]) == (
        "--set seed=3",
        "jobs/profiles/cortex-8b-full.yaml",
        "jobs/profiles/cortex-8b.yaml",
    )


def test_the_schema_beside_the_profiles_is_that_of_the_code() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == profile_verb("schema"), (
        "make it anew: .venv/bin/cortex profile schema > jobs/profile.schema.json"
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_editors_find_the_schema_and_shipped_profiles_are_right_by_it(name: str) -> None:
    text = (PROFILES / f"{name}.yaml").read_text(encoding="utf-8")
    first = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (PROFILES / first).resolve() == SCHEMA
    jsonschema.validate(read_yaml(PROFILES / f"{name}.yaml", exponents=True), profile_schema())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"extends": "rehearsal"}, "'name' is a required property"),
        ({"name": "a", "domain": {}, "sft": {}}, "'model' is a required property"),
        ({"name": "a", "model": {}, "sft": {}}, "is not valid under any of the given schemas"),
        ({"extends": "rehearsal", "name": "a", "sft": {"max_step": 7}}, "'max_step' was unexpected"),
        ({"extends": "rehearsal", "name": "a", "seed": "x"}, "'x' is not of type 'integer'"),
        ({"extends": 3, "name": "a"}, "3 is not of type 'string'"),
    ],
)
def test_the_schema_refuses_what_the_kit_refuses(values: dict[str, Any], message: str) -> None:
    with pytest.raises(jsonschema.ValidationError, match=message):
        jsonschema.validate(values, profile_schema())
