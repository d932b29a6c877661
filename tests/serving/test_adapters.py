"""Adapters of one base in a routes file: one engine for all, on the base that they were trained on and no other."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from cortex.artifacts.artifact import publish
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.trust import Trust
from cortex.errors import ConfigError, CortexError, DataError, VerificationError
from cortex.serving import local_engines, vllm_command
from cortex.serving.adapter_base import find_base, read_base_pin
from cortex.serving.engine import EngineCommand
from cortex.serving.routed_models import open_models
from cortex.serving.routes_file import Routes
from cortex.serving.served_model import ServedModel
from cortex.serving.serving_settings import ServingSettings
from cortex.settings import Settings
from tests.models.adapter_files import write_adapter, write_base
from tests.serving.adapter_releases import release_adapter

REVISION = "a" * 40


@pytest.fixture(autouse=True)
def interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter's name in place of an environment with vLLM, whose making takes minutes."""
    monkeypatch.setattr(vllm_command, "_vllm", lambda settings, gpus: ("python", {}))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[EngineCommand]:
    """The commands of all engines that are put under supervision."""
    seen: list[EngineCommand] = []
    supervise = local_engines.supervise

    def note(name: str, command: EngineCommand, port: int, log: Path, serving: ServingSettings) -> object:
        seen.append(command)
        return supervise(name, command, port, log, serving)

    monkeypatch.setattr(local_engines, "supervise", note)
    return seen


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base `base` and three releases on it, of ranks 2, 12 and 2; `elsewhere` is on the other base `other`."""
    folder = tmp_path_factory.mktemp("made")
    base, other = write_base(folder / "base"), write_base(folder / "other", "other")
    for name, rank, on in (("small", 2, base), ("large", 12, base), ("third", 2, base), ("elsewhere", 2, other)):
        write_adapter(folder / name / "adapter", rank=rank)
        release_adapter(folder / name, on)
    return folder


def opened(made: Path, home: Path, models: dict[str, dict[str, object]], gpus: int = 0) -> list[ServedModel]:
    releases = {
        name: made / "published" / "runs" / name / "release" for name in ("small", "large", "third", "elsewhere")
    }
    routes = Routes.model_validate({"models": models})
    store = FolderStore(home / "bucket")
    settings, serving = Settings(home=home), ServingSettings()
    return open_models(routes, lambda target, copy: releases[target], store, Trust(), settings, serving, gpus=gpus)


def adapter(release: str, **keys: object) -> dict[str, object]:
    return {"release": release, "weights": "adapter", **keys}


def after(words: Sequence[str], word: str) -> str:
    return words[words.index(word) + 1]


def test_adapters_of_one_base_share_an_engine(made: Path, tmp_path: Path, commands: list[EngineCommand]) -> None:
    models = {
        "a": adapter("small", dollars_per_million_tokens=3),
        "b": adapter("elsewhere"),
        "c": adapter("large", base=str(made / "base")),
    }
    first, other, second = opened(made, tmp_path, models)
    assert [model.name for model in (first, other, second)] == ["a", "b", "c"]
    assert first.client is second.client and first.client.admission is second.client.admission
    assert other.client is not first.client
    assert (first.client.engine.name, other.client.engine.name) == ("a", "b"), "the probe asks through an adapter"
    assert (first.price(1_000_000), second.price(1_000_000)) == (3, 0)
    shared, alone = (command.words for command in commands)
    assert after(shared, "serve") == str(made / "base") and after(alone, "serve") == str(made / "other")
    assert after(shared, "--served-model-name") == ".base" and "--enable-lora" in shared
    assert (after(shared, "--max-loras"), after(shared, "--max-lora-rank")) == ("2", "16")
    assert (after(alone, "--max-loras"), after(alone, "--max-lora-rank")) == ("1", "8")
    modules = [json.loads(word) for word in shared[shared.index("--lora-modules") + 1 :]]
    assert modules == [
        {"name": "a", "path": str(first.release.folder / "adapter")},
        {"name": "c", "path": str(second.release.folder / "adapter")},
    ]


def test_on_gpus_one_engine_may_serve_several_adapters(made: Path, tmp_path: Path) -> None:
    assert len(opened(made, tmp_path, {"a": adapter("small"), "b": adapter("third")}, gpus=2)) == 2
    with pytest.raises(ConfigError, match=r"a, b, c are releases that need 2 engines, and an engine takes all GPUs"):
        opened(made, tmp_path, {"a": adapter("small"), "b": adapter("third"), "c": adapter("elsewhere")}, gpus=2)


def test_another_base_than_the_run_s_is_refused(made: Path, tmp_path: Path) -> None:
    models = {"a": adapter("small"), "b": adapter("third", base=str(made / "other"))}
    with pytest.raises(ConfigError, match=rf"^models\.b: {made}/other is not the base that the adapter was trained on"):
        opened(made, tmp_path, models)
    with pytest.raises(ConfigError, match=r"^models\.a: .*/nowhere cannot be read: No such file"):
        opened(made, tmp_path, {"a": adapter("small", base=str(made / "nowhere"))})


def test_a_base_that_changed_is_refused(made: Path, tmp_path: Path) -> None:
    base = shutil.copytree(made / "base", tmp_path / "base")
    assert find_base(read_base_pin(made / "published/runs/small/release"), str(base), FolderStore(tmp_path), tmp_path)
    (base / "more.safetensors").write_bytes(b"")
    pin = read_base_pin(made / "published/runs/small/release")
    with pytest.raises(ConfigError, match=r"holds 'more.safetensors', which is no file of .*: remove it"):
        find_base(pin, str(base), FolderStore(tmp_path), tmp_path)
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ConfigError, match=r"its files make the manifest [0-9a-f]{12}, not "):
        find_base(pin, str(base), FolderStore(tmp_path), tmp_path)


def test_what_does_not_fit_is_refused_with_its_model(tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    write_adapter(tmp_path / "small" / "adapter", narrow=5)
    write_adapter(tmp_path / "large" / "adapter", rank=513)
    for name in ("small", "large"):
        release_adapter(tmp_path / name, base)
    with pytest.raises(ConfigError, match=r"^models\.a: .*v_proj.lora_B.weight is 5 by 2"):
        opened(tmp_path, tmp_path / "home", {"a": adapter("small")})
    with pytest.raises(ConfigError, match=r"a: the largest rank is 513, and vLLM takes up to 512"):
        opened(tmp_path, tmp_path / "home", {"a": adapter("large")})


def test_a_hub_s_base_is_taken_from_the_bucket_or_a_folder(tmp_path: Path) -> None:
    base, home, bucket = write_base(tmp_path / "base"), tmp_path / "home", FolderStore(tmp_path / "bucket")
    write_adapter(tmp_path / "small" / "adapter")
    pin = read_base_pin(release_adapter(tmp_path / "small", base, REVISION))
    with pytest.raises(ConfigError, match=rf"the base open/model at {REVISION[:12]} is not in .*name its folder as"):
        find_base(pin, None, bucket, home)
    assert find_base(pin, str(base), bucket, home) == base
    meta = {"base": "open/model", "revision": REVISION}
    there = publish(base, bucket, f"bases/open--model/{REVISION}", kind="base", code="", meta=meta, keep=True)
    assert there.digest == pin.digest
    found = find_base(pin, None, bucket, home)
    assert (found / "model.safetensors").read_bytes() == (base / "model.safetensors").read_bytes()
    damaged = found / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\x01")
    with pytest.raises(VerificationError, match=r"1 differ \('model.safetensors'\)"):
        find_base(pin, None, bucket, home)


@pytest.mark.parametrize("text", ["{}", '{"base": null}', "["])
def test_a_release_without_a_pinned_base_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "provenance.json").write_text(text)
    with pytest.raises(DataError, match=r"provenance.json names no base, so its adapter fits none"):
        read_base_pin(tmp_path)


def test_an_adapter_is_served_by_a_routes_file_alone(made: Path, tmp_path: Path) -> None:
    with pytest.raises(CortexError, match="holds an adapter alone: serve it by a routes file"):
        vllm_command.refuse_unfit(made / "published/runs/small/release/adapter", gpus=0)
