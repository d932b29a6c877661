"""Some copies of a release come home without the others, verified against the whole manifest, and never silently."""

from pathlib import Path

import pytest

from cortex.artifacts.artifact import Artifact, publish
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.receipt import Receipt
from cortex.artifacts.trust import Trust
from cortex.artifacts.verify import verify
from cortex.errors import RefusedError, UsageError, VerificationError
from cortex.fleet.home.download import download
from cortex.fleet.home.partial_download import download_copies
from cortex.models.copies import weight_folders
from tests.artifacts.strategies import write
from tests.conftest import Cortex
from tests.fleet.conftest import RUN

FILES = {
    "card.md": b"# card",
    "export.json": b"{}",
    "model/config.json": b"{}",
    "model/model-1.safetensors": b"m" * 9000,
    "gguf-q8_0/model.gguf": b"g" * 700,
    "gptq-w4/config.json": b"{}",
    "gptq-w4/model.safetensors": b"q" * 5000,
    "plots/loss.svg": b"<svg/>",
}
REST = {"card.md", "export.json", "plots/loss.svg"}


@pytest.fixture
def made(store: FolderStore, tmp_path: Path) -> Artifact:
    return publish(write(tmp_path / "r", FILES), store, f"runs/{RUN}/release", kind="release")


def there(folder: Path) -> set[str]:
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return files - {"manifest.json", "SHA256SUMS"}


def bring(store: FolderStore, home: Path, *copies: str) -> Path:
    return download_copies(RUN, store, home, copies, trust=Trust())


def test_only_the_wanted_copy_is_fetched_and_all_else_that_is_no_weights(
    store: FolderStore, made: Artifact, tmp_path: Path
) -> None:
    for name in ("model/model-1.safetensors", "gptq-w4/model.safetensors"):
        (made.path / name).unlink()  # whoever asks for these gets an error
    folder = bring(store, tmp_path / "home", "gguf-q8_0")
    assert there(folder) == REST | {"gguf-q8_0/model.gguf"}
    found = verify(folder, left_out=weight_folders(made.manifest) - {"gguf-q8_0"})
    assert found.ok and ": 5 files, " in str(found)
    assert str(found).endswith("all as published; left out: gptq-w4, model")
    assert not verify(folder).ok, "without being told, what is absent is missing"
    assert Receipt.read(tmp_path / "home", RUN) is None
    assert bring(store, tmp_path / "home", "gguf-q8_0") == folder


def test_a_further_copy_and_then_the_whole_join_what_is_there(
    store: FolderStore, made: Artifact, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    bring(store, home, "gguf-q8_0")
    kept = (made.path / "gguf-q8_0" / "model.gguf").read_bytes()
    (made.path / "gguf-q8_0" / "model.gguf").unlink()  # it is not fetched twice
    folder = bring(store, home, "gptq-w4")
    assert there(folder) == REST | {name for name in FILES if name.startswith(("gguf", "gptq"))}
    (made.path / "gguf-q8_0" / "model.gguf").write_bytes(kept)
    receipt = download(RUN, store, home)
    assert receipt.path == folder and there(folder) == set(FILES) and verify(folder).ok
    assert bring(store, home, "model") == folder and there(folder) == set(FILES)


def test_a_folder_that_is_there_in_part_or_altered_is_damaged(
    store: FolderStore, made: Artifact, tmp_path: Path
) -> None:
    left_out = weight_folders(made.manifest) - {"gptq-w4"}
    folder = bring(store, tmp_path / "home", "gptq-w4")
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_bytes(b"{}")
    with pytest.raises(VerificationError, match=r"1 missing \('model/model-1.safetensors'\)"):
        verify(folder, left_out=left_out).require()
    (folder / "model" / "model-1.safetensors").write_bytes(b"n" * 9000)
    with pytest.raises(VerificationError, match=r"1 differ \('model/model-1.safetensors'\)"):
        verify(folder, left_out=left_out).require()
    (folder / "export.json").unlink()
    with pytest.raises(VerificationError, match=r"'export\.json'"):
        verify(folder, left_out=left_out).require()


def test_what_cannot_be_had_is_refused(store: FolderStore, made: Artifact, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with pytest.raises(UsageError, match="no copy 'gguf-q8': did you mean 'gguf-q8_0'"):
        bring(store, home, "gguf-q8")
    (made.path / "gguf-q8_0" / "model.gguf").write_bytes(b"h" * 700)
    with pytest.raises(VerificationError, match=r"gguf-q8_0/model\.gguf is damaged"):
        bring(store, home, "gguf-q8_0")
    part = home / "releases" / f"{RUN}.part" / "model"
    part.mkdir(exist_ok=True)
    (part / "model-1.safetensors").write_bytes(b"m" * 4000)
    with pytest.raises(RefusedError, match="holds a download of more, which was broken off"):
        bring(store, home, "gptq-w4")


@pytest.mark.integration
def test_the_command_says_what_it_left_out(cortex: Cortex, store: FolderStore, made: Artifact, tmp_path: Path) -> None:
    done = cortex(
        "download", RUN, "--copies", "gguf-q8_0, gptq-w4", "--to", str(tmp_path / "here"), CORTEX_BUCKET=store.url
    )
    assert done.returncode == 0, done.stderr
    assert ": 7 files, " in done.stdout and "left out: model; no receipt" in done.stdout
    assert not (tmp_path / "here" / "model").exists()
    wrong = cortex("download", RUN, "--copies", "gptq", "--from-cluster", "box")
    assert wrong.returncode == 2 and "--from-cluster copies a whole one" in wrong.stderr
