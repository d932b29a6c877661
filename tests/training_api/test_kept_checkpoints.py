"""Checkpoints of a Tinker service in a store: whole or not there, and verified when they come back."""

from collections.abc import Generator
from pathlib import Path

import pytest
from loguru import logger

from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.manifest import MANIFEST
from cortex.errors import ConfigError, VerificationError
from cortex.training_api.kept_checkpoints import Checkpoint, KeptCheckpoints

STATE = Checkpoint(model="model_1", purpose="training", name="s1", base="llama", lora={"rank": 8})
WEIGHTS = Checkpoint(model="model_1", purpose="sampler", name="s1", base="llama", lora={"rank": 8})


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "bucket")


@pytest.fixture
def kept(store: FolderStore, tmp_path: Path) -> KeptCheckpoints:
    kept = KeptCheckpoints(store, "mine", tmp_path / "scratch")
    folder, file = tmp_path / "s1", tmp_path / "s1.tar.gz"
    (folder / "d").mkdir(parents=True)
    (folder / "d" / "array").write_bytes(b"moments")
    file.write_bytes(b"weights")
    kept.keep(STATE, folder)
    kept.keep(WEIGHTS, file)
    return kept


@pytest.fixture
def log() -> Generator[list[str]]:
    lines = list[str]()
    sink = logger.add(lambda line: lines.append(str(line)), format="{message}")
    yield lines
    logger.remove(sink)


def test_files_and_folders_come_back_as_they_were(kept: KeptCheckpoints, tmp_path: Path) -> None:
    assert list(kept.all()) == [WEIGHTS, STATE]
    kept.restore(STATE, tmp_path / "new" / "s1")
    kept.restore(WEIGHTS, tmp_path / "new" / "s1.tar.gz")
    assert (tmp_path / "new" / "s1" / "d" / "array").read_bytes() == b"moments"
    assert (tmp_path / "new" / "s1.tar.gz").read_bytes() == b"weights"
    assert (tmp_path / "s1" / "d" / "array").exists(), "the server's own stays"


def test_an_upload_that_was_cut_off_is_none(kept: KeptCheckpoints, store: FolderStore) -> None:
    (store.root / "tinker" / "mine" / "model_1" / "training" / "s1" / MANIFEST).unlink()
    assert list(kept.all()) == [WEIGHTS]


def test_damaged_bytes_are_refused(kept: KeptCheckpoints, store: FolderStore, tmp_path: Path) -> None:
    damaged = store.root / "tinker" / "mine" / "model_1" / "sampler" / "s1" / "checkpoint"
    damaged.chmod(0o644)
    damaged.write_bytes(b"Weights")
    with pytest.raises(VerificationError, match="checkpoint"):
        kept.restore(WEIGHTS, tmp_path / "new")


def test_a_checkpoint_under_another_ones_name_is_left_out(
    kept: KeptCheckpoints, store: FolderStore, log: list[str]
) -> None:
    here = store.root / "tinker" / "mine" / "model_1" / "training"
    (here / "s1").rename(here / "s2")
    assert list(kept.all()) == [WEIGHTS]
    assert any("says that it is" in line for line in log)


@pytest.mark.parametrize("name", ["", "../runs", "Two Words"])
def test_a_services_name_is_one_word(store: FolderStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="lower-case"):
        KeptCheckpoints(store, name, tmp_path)
