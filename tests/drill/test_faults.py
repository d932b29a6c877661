import json
from pathlib import Path

import pytest

from cortex.artifacts.artifact import publish
from cortex.artifacts.manifest import MANIFEST
from cortex.artifacts.open_store import open_store
from cortex.artifacts.verify import verify
from cortex.drill.faults import Damage, Sound, catalogue, cut, flip, zero_half
from cortex.errors import DataError
from tests.checkpoints.toy import chain, save

OLDER, NEWEST = 2, 4

# Files of a checkpoint besides those that the toy trainer saves.
BESIDES = {"config.json": {"hidden_size": 32}, "tokenizer.json": {"model": {}}}


def checkpoint(folder: Path, step: int, seed: bytes = b"") -> Path:
    save(folder, seed or chain(step), step)
    for name, content in BESIDES.items():
        (folder / name).write_text(json.dumps(content))
    return folder


def committed(folder: Path, step: int, seed: bytes = b"") -> Path:
    """A checkpoint with its manifest."""
    store = open_store(str(folder.parent))
    return publish(checkpoint(folder.with_name("saved"), step, seed), store, folder.name, kind="checkpoint").path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def sound(tmp_path: Path) -> Sound:
    return Sound(committed(tmp_path / "run" / "2", OLDER), committed(tmp_path / "other" / "4", NEWEST, b"x" * 32))


@pytest.fixture
def newest(tmp_path: Path) -> Path:
    return committed(tmp_path / "run" / "4", NEWEST)


def names(tmp_path: Path) -> list[str]:
    return [damage.name for damage in catalogue(checkpoint(tmp_path, NEWEST))]


def test_the_catalogue_has_every_kind(tmp_path: Path) -> None:
    found = names(tmp_path / "checkpoint")
    assert len(found) == len(set(found))
    assert {f"weights {how}" for how in ("missing", "empty", "cut", "half zeroes", "a bit flipped")} <= set(found)
    assert {"optimizer missing", "scheduler missing", "random state missing", "trainer state missing"} <= set(found)
    assert {"empty folder", "torn save, weights alone", "another run's checkpoint", "manifest cut"} <= set(found)
    # every file of the checkpoint has a damage that keeps its size
    kept = {"optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", *BESIDES}
    assert {f"a bit of {name}" for name in kept} <= set(found)


@pytest.mark.parametrize("index", range(len([*range(16), *BESIDES, *range(4)]) + 4))
def test_each_damage_changes_the_checkpoint_and_nothing_else(index: int, newest: Path, sound: Sound) -> None:
    damages = catalogue(newest)
    assert len(damages) == 26
    damage: Damage = damages[index]
    before, older, foreign = contents(newest), contents(sound.older), contents(sound.foreign)
    assert verify(newest).ok
    damage.apply(newest, sound)
    after = contents(newest)
    assert after != before, damage.name
    assert (after.get(MANIFEST) != before[MANIFEST]) == (
        damage.manifest or damage.name in ("empty folder", "torn save, weights alone", "another run's checkpoint")
    )
    assert contents(sound.older) == older and contents(sound.foreign) == foreign
    if damage.name != "another run's checkpoint":  # whole, and of another run: its bytes are as published
        assert not whole(newest), damage.name


def whole(folder: Path) -> bool:
    try:
        return verify(folder).ok
    except DataError:
        return False


def test_same_size_damages_keep_the_size(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for change in (zero_half, flip):
        path.write_bytes(b"a" * 101)
        change(path)
        assert len(path.read_bytes()) == 101
        assert path.read_bytes() != b"a" * 101
    cut(path)
    assert len(path.read_bytes()) == 50


def test_a_folder_that_is_no_checkpoint_is_refused(newest: Path, sound: Sound, tmp_path: Path) -> None:
    [missing] = [damage for damage in catalogue(newest) if damage.name == "weights missing"]
    (newest / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"has no model\.safetensors or adapter_model\.safetensors"):
        missing.apply(newest, sound)
