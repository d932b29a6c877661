"""The check of a distillation's teacher before a launch."""

import json
from pathlib import Path

from cortex.fleet.preflight import teacher_check
from cortex.fleet.preflight.finding import Finding
from cortex.fleet.preflight.ground import Ground
from cortex.profiles.profile_file import load_profile
from cortex.settings import Settings

STEPS = {"learning_rate": 1e-4, "max_steps": 20, "save_steps": 5}


def model(folder: Path, *tokens: str) -> str:
    folder.mkdir()
    vocabulary = {token: number for number, token in enumerate(tokens)}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    (folder / "config.json").write_text(json.dumps({"vocab_size": 8}))
    return str(folder)


def checked(home: Path, base: str, teacher: dict[str, str] | None) -> Finding:
    further = {"distill": {"teacher": teacher, **STEPS}} if teacher else {}
    profile = load_profile("cortex-8b", {"model.base": base, **further})
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    return teacher_check.check(Ground(profile, None, Settings(home=home), [], environment))


def test_a_teacher_has_to_have_the_tokenizer_of_the_model(tmp_path: Path) -> None:
    base, same, other = (model(tmp_path / name, *name.split("-")) for name in ("a-b-c", "a-b-c-", "b-a-c"))
    found = checked(tmp_path, base, {"base": other})
    assert found.ok is False and "token 'b' is 0 there, and is 1 in the student's" in found.detail and found.fix
    assert checked(tmp_path, base, None).ok is None
    assert checked(tmp_path, base, {"base": same}).ok is False  # it has one token more
    assert checked(tmp_path, base, {"base": base}).ok is True


def test_what_cannot_be_looked_at_is_no_failure_and_another_run_is_one(tmp_path: Path) -> None:
    base = model(tmp_path / "base", "a")
    absent = checked(tmp_path, base, {"base": str(tmp_path / "absent")})
    assert absent.ok is True and "is a folder that is not on this machine" in absent.detail
    silent = checked(tmp_path, base, {"base": "owner/larger"})
    assert silent.ok is None and "was not compared" in silent.detail
    run = checked(tmp_path, base, {"run": "r1"})
    assert run.ok is False and "machines cannot read another run's folder" in run.detail
    assert "distill.teacher.base" in str(run.fix)
