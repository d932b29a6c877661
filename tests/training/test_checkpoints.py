import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cortex.artifacts.manifest import MANIFEST
from cortex.training.checkpoints import QUARANTINE, Owner, commit, newest_verified

OWNER = Owner(run="a", stage="sft", profile="0" * 64)
WEIGHTS, OPTIMIZER, STATE = "model.safetensors", "optimizer.pt", "trainer_state.json"


def save(root: Path, step: int, owner: Owner | None = OWNER) -> Path:
    folder = root / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for name, size in ((WEIGHTS, 4096), (OPTIMIZER, 8192), ("scheduler.pt", 64), ("rng_state.pth", 128)):
        (folder / name).write_bytes(os.urandom(size))
    (folder / STATE).write_text(json.dumps({"global_step": step}))
    (folder / "config.json").write_text("{}")
    if owner:
        commit(folder, owner)
    return folder


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zero_half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no manifest": lambda folder: (folder / MANIFEST).unlink(),
    "empty manifest": lambda folder: (folder / MANIFEST).write_bytes(b""),
    "torn manifest": lambda folder: halve(folder / MANIFEST),
    "edited manifest": lambda folder: (folder / MANIFEST).write_text((folder / MANIFEST).read_text() + " "),
    "empty folder": lambda folder: (shutil.rmtree(folder), folder.mkdir()),
    "a file in its place": lambda folder: (shutil.rmtree(folder), folder.write_text("")),
    "weights missing": lambda folder: (folder / WEIGHTS).unlink(),
    "weights empty": lambda folder: (folder / WEIGHTS).write_bytes(b""),
    "weights cut": lambda folder: halve(folder / WEIGHTS),
    "weights half zeroes": lambda folder: zero_half(folder / WEIGHTS),
    "one bit of the weights": lambda folder: flip(folder / WEIGHTS),
    "weights a link": lambda folder: link(folder / WEIGHTS),
    "optimizer missing": lambda folder: (folder / OPTIMIZER).unlink(),
    "optimizer cut": lambda folder: halve(folder / OPTIMIZER),
    "optimizer half zeroes": lambda folder: zero_half(folder / OPTIMIZER),
    "scheduler missing": lambda folder: (folder / "scheduler.pt").unlink(),
    "random state missing": lambda folder: (folder / "rng_state.pth").unlink(),
    "trainer state missing": lambda folder: (folder / STATE).unlink(),
    "trainer state cut": lambda folder: halve(folder / STATE),
    "trainer state of another step": lambda folder: (folder / STATE).write_text(json.dumps({"global_step": 19})),
    "configuration missing": lambda folder: (folder / "config.json").unlink(),
    "a file too many": lambda folder: (folder / "model-00002.safetensors").write_bytes(b"x"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_any_damage_falls_back_to_the_older_good_one(damage: str, tmp_path: Path) -> None:
    older, newer = save(tmp_path, 9), save(tmp_path, 20)  # 9 is less than 20, though not as text
    assert newest_verified(tmp_path, OWNER) == (newer, [])
    DAMAGE[damage](newer)
    found, reasons = newest_verified(tmp_path, OWNER)
    assert found == older
    assert [reason.partition(":")[0] for reason in reasons] == ["checkpoint-20"]
    assert not newer.exists() and (tmp_path / QUARANTINE / "checkpoint-20.0").exists()
    assert newest_verified(tmp_path, OWNER) == (older, [])


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (replace(OWNER, run="b"), "run b"),
        (replace(OWNER, stage="grpo"), "stage grpo"),
        (replace(OWNER, profile="1" * 64), "another profile"),
    ],
)
def test_anothers_checkpoint_is_never_resumed_from(other: Owner, reason: str, tmp_path: Path) -> None:
    save(tmp_path, 10, other)
    found, reasons = newest_verified(tmp_path, OWNER)
    assert found is None
    assert len(reasons) == 1 and reason in reasons[0]


def test_a_checkpoint_under_another_steps_name_is_refused(tmp_path: Path) -> None:
    save(tmp_path, 10).rename(tmp_path / "checkpoint-90")
    found, reasons = newest_verified(tmp_path, OWNER)
    assert found is None and "step 10" in reasons[0]


def test_when_all_are_bad_nothing_is_lost(tmp_path: Path) -> None:
    weights = {}
    for step in (10, 20, 30):
        weights[step] = (save(tmp_path, step, owner=None) / WEIGHTS).read_bytes()
    found, reasons = newest_verified(tmp_path, OWNER)
    assert found is None
    assert [reason.split(":")[0] for reason in reasons] == ["checkpoint-30", "checkpoint-20", "checkpoint-10"]
    kept = {path.name: (path / WEIGHTS).read_bytes() for path in (tmp_path / QUARANTINE).iterdir()}
    assert kept == {
        "checkpoint-30.0": weights[30],
        "checkpoint-20.1": weights[20],
        "checkpoint-10.2": weights[10],
    }
    # The trainer comes to the same step again, and fails again.
    save(tmp_path, 30, owner=None)
    assert newest_verified(tmp_path, OWNER)[0] is None
    assert (tmp_path / QUARANTINE / "checkpoint-30.3" / WEIGHTS).exists()


def test_what_is_no_checkpoint_is_left_alone(tmp_path: Path) -> None:
    good = save(tmp_path, 10)
    for name in ("checkpoint-best", "tmp-checkpoint-20", "checkpoint-20.partial"):
        (tmp_path / name).mkdir()
    assert newest_verified(tmp_path, OWNER) == (good, [])
    assert newest_verified(tmp_path / "nowhere", OWNER) == (None, [])
    assert not (tmp_path / QUARANTINE).exists()
