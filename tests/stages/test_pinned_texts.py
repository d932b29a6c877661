"""Sources of a pretraining: pinned once, and refused where they are another's, empty, or nowhere."""

import hashlib
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from cortex.artifacts.patience import Patience
from cortex.bases.dataset_revision import dataset_revision
from cortex.errors import ConfigError, DataError
from cortex.profiles.pretrain_section import Pretrain
from cortex.stages.pinned_texts import pin_sources, pinned_streams, require_same_files
from tests.fleet.services import Answer, Request, serving

COMMIT, OTHER = "a" * 40, "b" * 40
NOT_LONG = Patience(deadline=0.2, first=0.1, longest=0.1)


def pretrain(*sources: dict[str, Any]) -> Pretrain:
    phase = {"name": "web", "tokens": 100, "sequence_length": 32, "sources": list(sources)}
    return Pretrain.model_validate({"phases": [phase], "save_steps": 5})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """A hub with one data set, and one that is gated."""

    def answer(request: Request) -> Answer:
        if request.path.startswith("/api/datasets/owner/web"):
            if request.path.endswith(f"/revision/{OTHER}"):
                return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
            return 200, {}, json.dumps({"id": "owner/web", "sha": COMMIT}).encode()
        if request.path.startswith("/api/datasets/owner/gated"):
            return 403, {"X-Error-Code": "GatedRepo"}, b"{}"
        if request.path.startswith("/api/datasets/owner/broken"):
            return 503, {}, b"{}"
        return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"

    with serving(answer) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        yield url


def test_files_are_named_and_hashed_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.txt", "a.txt"):
        Path(name).write_text(name, encoding="utf-8")
    pins = pin_sources(pretrain({"files": ["*.txt"], "weight": 2.0}))
    [source] = pins[0]["sources"]
    assert [file["name"] for file in source["files"]] == ["a.txt", "b.txt"]
    assert source["files"][0]["sha256"] == hashlib.sha256(b"a.txt").hexdigest()
    require_same_files(pins)
    [[stream]] = pinned_streams(pins, tmp_path, tmp_path)
    assert (stream.files, stream.weight, stream.conversations) == (("a.txt", "b.txt"), 2.0, False)
    Path("a.txt").write_text("another", encoding="utf-8")
    with pytest.raises(DataError, match=r"a.txt is not the file that this run began with .*: put it back"):
        require_same_files(pins)


def test_the_runs_own_labels_are_a_source(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    row = {"example_id": "1", "messages": messages, "reasons": []}
    (tmp_path / "accepted.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    [[stream]] = pinned_streams(pin_sources(pretrain({"run": "labels"})), tmp_path, tmp_path)
    assert stream.conversations
    assert json.loads(Path(stream.files[0]).read_text(encoding="utf-8")) == {"messages": messages}


def test_a_file_that_is_empty_or_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(ConfigError, match=r"empty.jsonl is empty: remove it, or fill it"):
        pin_sources(pretrain({"files": [str(tmp_path / "*.jsonl")]}))
    with pytest.raises(ConfigError, match=r"no file of this machine is .*none-\*.txt: put it there"):
        pin_sources(pretrain({"files": [str(tmp_path / "none-*.txt")]}))


def test_a_hubs_data_set_is_pinned_to_its_commit(hub: str, tmp_path: Path) -> None:
    pins = pin_sources(pretrain({"dataset": "owner/web", "config": "large", "least": {"score": 3}}))
    assert pins[0]["sources"][0]["revision"] == COMMIT
    [[stream]] = pinned_streams(pins, tmp_path, tmp_path)
    assert (stream.dataset, stream.config, stream.revision, stream.least) == (
        "owner/web",
        "large",
        COMMIT,
        {"score": 3},
    )


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        ("owner/web", OTHER, f"data set owner/web has no revision {OTHER} on the hub"),
        ("owner/none", None, "the hub shows no data set owner/none: correct its name"),
        ("owner/gated", None, "data set owner/gated is gated: accept its terms on the hub"),
        ("no//name", None, "the hub shows no data set no//name"),
    ],
)
def test_what_the_hub_refuses_is_said(hub: str, name: str, revision: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataset_revision(name, revision, NOT_LONG)


def test_a_hub_that_does_not_answer_is_asked_again_and_then_reported(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"owner/broken cannot be had from the hub.* answers 503; run the same command"):
        dataset_revision("owner/broken", None, NOT_LONG)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"owner/web cannot be had from the hub.* cannot be reached from here"):
        dataset_revision("owner/web", None, NOT_LONG)
