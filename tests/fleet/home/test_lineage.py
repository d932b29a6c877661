from pathlib import Path

import pytest

from cortex.artifacts.artifact import Artifact, publish
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.manifest import Manifest
from cortex.console import Console
from cortex.errors import DataError, VerificationError
from cortex.fleet.home.lineage import draw, lineage
from tests.artifacts.strategies import write
from tests.fleet.conftest import RUN
from tests.hostile import HOSTILE, odd_characters


def test_walks_from_the_release_to_every_input(store: FolderStore, release: Artifact) -> None:
    origin = lineage(store, RUN)
    assert origin.release == release.digest
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


def chain(store: FolderStore, length: int, kind: str = "x") -> None:
    """A chain of releases, of which each names the one before it twice."""
    inputs: dict[str, str] = {}
    for index in range(length):
        manifest = Manifest(kind=kind, files=(), inputs=inputs, meta={"index": index})
        store.put(f"runs/{RUN}/s{index}/artifact/manifest.json", manifest.data)
        inputs = {"a": manifest.digest, "b": manifest.digest}
    store.put(f"runs/{RUN}/release/manifest.json", Manifest(kind="release", files=(), inputs=inputs).data)


def test_each_artifact_is_met_once_however_many_ways_lead_to_it(store: FolderStore) -> None:
    chain(store, 500)
    found = lineage(store, RUN)
    assert len(found.walk()) == 501
    console = Console(width=300, color_system=None)
    with console.capture() as captured:
        console.print(draw(found))
    assert "and more before it" in captured.get() and captured.get().count("\n") < 100


def test_more_than_any_honest_lineage_is_refused(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex.fleet.home.lineage.LINEAGE", 20)
    chain(store, 19)
    assert len(lineage(store, RUN).walk()) == 20
    chain(store, 20, kind="y")
    with pytest.raises(DataError, match="more than 20 artifacts"):
        lineage(store, RUN)


def test_another_run_s_damaged_manifest_is_nobody_s_input(store: FolderStore, release: Artifact) -> None:
    store.put("runs/other/data/artifact/manifest.json", b"{")
    assert lineage(store, RUN).walk()[-1].prefix is None and release.digest


@pytest.mark.parametrize("text", HOSTILE[:9] + HOSTILE[12:], ids=ascii)
def test_names_kinds_and_code_are_shown_as_text(store: FolderStore, text: str) -> None:
    manifest = Manifest(kind=text, files=(), inputs={text: "a" * 64}, code=text, seeds={text: 1})
    store.put(f"runs/{RUN}/release/manifest.json", manifest.data)
    console = Console(width=300, color_system=None)
    with console.capture() as captured:
        console.print(draw(lineage(store, RUN)))
    assert odd_characters(captured.get()) == set()


def test_the_copy_of_a_base_is_found(store: FolderStore, tmp_path: Path) -> None:
    base = publish(write(tmp_path / "b", {"x": b"1"}), store, "bases/open--model/0123", kind="base")
    publish(write(tmp_path / "r", {"x": b"2"}), store, "runs/own/release", kind="release", inputs={"base": base.digest})
    assert [one.prefix for one in lineage(store, "own").walk()] == ["runs/own/release", "bases/open--model/0123"]
