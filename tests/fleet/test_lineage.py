from pathlib import Path

import pytest
from rich.console import Console

from cortex.artifacts.artifact import Artifact, publish
from cortex.artifacts.folder_store import FolderStore
from cortex.errors import DataError, VerificationError
from cortex.fleet.lineage import draw, lineage
from tests.artifacts.strategies import write
from tests.fleet.conftest import RUN


def test_walks_from_the_release_to_every_input(store: FolderStore, release: Artifact) -> None:
    origin = lineage(store, RUN)
    assert origin.digest == release.digest
    assert [(one.name, one.prefix) for one in origin.walk()] == [
        ("release", f"runs/{RUN}/release"),
        ("data", f"runs/{RUN}/data/artifact"),
        ("model", f"runs/{RUN}/sft/artifact"),
        ("base", None),
    ]


def test_inputs_from_another_run_are_found(store: FolderStore, release: Artifact, tmp_path: Path) -> None:
    publish(
        write(tmp_path / "n", {"x": b"3"}), store, "runs/next/release", kind="release", inputs={"base": release.digest}
    )
    assert [one.name for one in lineage(store, "next").walk()] == ["release", "base", "data", "model", "base"]


def test_draws_each_artifact_once_and_names_it_again(store: FolderStore, release: Artifact) -> None:
    console = Console(width=160, color_system=None)
    with console.capture() as captured:
        console.print(draw(lineage(store, RUN)))
    lines = captured.get().splitlines()
    assert release.digest[:12] in lines[0] and len(lines) == 5
    assert "data=7" in lines[1] and "from outside this bucket" in captured.get()


def test_no_release_and_a_damaged_manifest_are_clear(store: FolderStore, release: Artifact) -> None:
    with pytest.raises(DataError, match="no release"):
        lineage(store, "other")
    (store.root / f"runs/{RUN}/data/artifact/manifest.json").write_bytes(b"{}")
    with pytest.raises(VerificationError, match="data/artifact"):
        lineage(store, RUN)
    assert release.digest
