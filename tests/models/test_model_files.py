"""Files that are kept of a trainer's folder."""

import json
from pathlib import Path

import pytest

from cortex.artifacts.open_store import open_store
from cortex.models.model_files import collect_model, lengthen_context, name_base
from cortex.profiles.profile import Profile
from tests.checkpoints.conftest import context_of
from tests.fleet.services import COMMIT, TRAINABLE, Hub, serving


def test_an_adapter_names_its_base_and_revision_and_no_folder_of_this_machine(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    based = Profile.model_validate(profile.model_dump() | {"model": {"base": "open/model"}})
    context = context_of(open_store(str(tmp_path / "bucket")), based, tmp_path / "work")
    trained = tmp_path / "trained"
    trained.mkdir()
    config = {"base_model_name_or_path": str(tmp_path / "work"), "revision": None, "r": 8}
    (trained / "adapter_config.json").write_text(json.dumps(config))
    (trained / "training_args.bin").write_bytes(b"pickle")
    collect_model(trained, tmp_path / "model")
    with serving(Hub(TRAINABLE)) as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        name_base(tmp_path / "model", context)
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["adapter_config.json"]
    found = json.loads((tmp_path / "model" / "adapter_config.json").read_text())
    assert found == {"base_model_name_or_path": "open/model", "revision": COMMIT, "r": 8}


def test_whole_weights_name_no_base(profile: Profile, tmp_path: Path) -> None:
    context = context_of(open_store(str(tmp_path / "bucket")), profile, tmp_path / "work")
    (tmp_path / "model").mkdir()
    name_base(tmp_path / "model", context)
    assert not list((tmp_path / "model").iterdir())


@pytest.mark.parametrize(
    ("before", "after"), [({"model_max_length": 64}, 128), ({"model_max_length": 512}, 512), ({}, None)]
)
def test_a_longer_context_reaches_the_tokenizer_by_which_vllm_limits_sequences(
    tmp_path: Path, before: dict[str, int], after: int | None
) -> None:
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps({"pad_token": "<|pad|>", **before}), encoding="utf-8")
    lengthen_context(tmp_path, 128)
    found = json.loads(path.read_text(encoding="utf-8"))
    assert (found["pad_token"], found.get("model_max_length")) == ("<|pad|>", after)
