"""The base as every stage takes it: from a hub and a bucket on real servers on loopback, and from a folder."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cortex.artifacts.artifact import find, publish
from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.artifacts.open_store import open_store
from cortex.artifacts.patience import Patience
from cortex.artifacts.store import Store
from cortex.bases import base_model, base_request
from cortex.bases.base_model import base_artifact, base_folder, require_trained_on
from cortex.bases.base_pin import find_pin, mirror_prefix
from cortex.bases.base_revision import read_revision
from cortex.errors import ConfigError, DataError, RefusedError
from cortex.profiles.profile import Profile
from cortex.runs.context import RunContext
from tests.artifacts.conftest import proxy
from tests.artifacts.faulty import BUCKET, Fault, Proxy, Server
from tests.checkpoints.conftest import context_of, kept
from tests.fleet.services import COMMIT, TRAINABLE, Hub, serving

pytestmark = pytest.mark.integration

__all__ = ["kept", "proxy"]

DEAD = "http://127.0.0.1:9"
MIRROR = f"bases/open--model/{COMMIT}"
WEIGHTS = b"weights" * 1000
FILES = TRAINABLE | {
    "model.safetensors": WEIGHTS,
    "LICENSE": b"terms",
    "README.md": b"about",
    "modeling_own.py": b"raise SystemExit",
    "pytorch_model.bin": b"pickle",
    "original/consolidated.00.pth": b"pickle",
    "adapter_config.json": b"{}",
}
LOADED = {"LICENSE", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", MANIFEST}

Machine = Callable[..., RunContext]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_request, "ASKING", Patience(deadline=1.0, first=0.1))
    monkeypatch.setattr(base_model, "MIRRORING", Patience(deadline=2.0, first=0.01, longest=0.1))
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.fixture
def machine(kept: str, profile: Profile, tmp_path: Path) -> Machine:
    """A run as a machine of a given name sees it, with a disk of its own."""

    def new(name: str = "first", run: str = "run-1", **model: str) -> RunContext:
        based = Profile.model_validate(profile.model_dump() | {"model": {"base": "open/model", **model}})
        return context_of(open_store(kept), based, tmp_path / name, run)

    return new


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Send the hub's client to an address."""
    return lambda url: monkeypatch.setenv("HF_ENDPOINT", url)


Ask = Callable[[str], None]


def taken(context: RunContext) -> Path:
    folder = base_folder(context)
    assert folder
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == LOADED
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    return folder


def replace(store: Store, key: str, data: bytes, server: Server | None) -> None:
    """Change an object behind the store's back."""
    path = store.local_path(key) or (server.root / BUCKET / "kit" / key if server else None)
    assert path
    path.write_bytes(data)


@pytest.fixture
def behind(kept: str, request: pytest.FixtureRequest) -> Server | None:
    return request.getfixturevalue("server") if "://" in kept else None


def test_the_first_machine_asks_the_hub_and_those_after_it_only_the_bucket(machine: Machine, ask: Ask) -> None:
    first = machine()
    with serving(Hub(FILES)) as url:
        ask(url)
        taken(first)
    mirrored = find(first.store, MIRROR)
    assert mirrored and mirrored.meta == {"base": "open/model", "revision": COMMIT}
    ask(DEAD)
    for context in (machine("second"), machine("first")):
        taken(context)
        base = base_artifact(context)
        assert base and base.digest == mirrored.digest
    # Another run asks the hub for its listing, and nobody for the files.
    hub = Hub(FILES)
    with serving(hub) as url:
        ask(url)
        taken(machine("third", run="run-2"))
    assert not [path for path in hub.asked if "safetensors" in path]


def test_a_run_keeps_to_its_revision_when_the_hub_moves_on(machine: Machine, ask: Ask) -> None:
    with serving(Hub(FILES)) as url:
        ask(url)
        taken(machine())
    with serving(Hub({**FILES, "model.safetensors": b"other"}, commit="f" * 40)) as url:
        ask(url)
        taken(machine("second"))
        gone = machine("third")
        gone.store.delete(MIRROR)
        with pytest.raises(ConfigError, match=f"no revision {COMMIT} on the hub: correct model.revision"):
            base_folder(gone)
        with pytest.raises(ConfigError, match=f"has no revision {COMMIT}"):
            base_folder(machine("third", run="run-2", revision=COMMIT))
        own = base_artifact(machine("fourth", run="run-3", revision="f" * 40))
        assert own and own.manifest.meta["revision"] == "f" * 40


def test_a_damaged_copy_is_replaced_from_the_hub_and_mended(
    machine: Machine, ask: Ask, behind: Server | None, log: list[str]
) -> None:
    with serving(Hub(FILES)) as url:
        ask(url)
        store = machine().store
        taken(machine())
        flipped = bytes([WEIGHTS[0] ^ 1]) + WEIGHTS[1:]
        replace(store, f"{MIRROR}/model.safetensors", flipped, behind)
        ask(DEAD)
        with pytest.raises(DataError, match=rf"{MIRROR}.*; and model.base open/model cannot be had.*; delete .*") as no:
            base_folder(machine("second"))
        assert no.value.exit_code == 65 and "\n" not in str(no.value)
        ask(url)
        taken(machine("third"))
    assert any("the base is taken from the hub in its place" in line for line in log)
    assert bytes(store.get(f"{MIRROR}/model.safetensors")) == WEIGHTS
    ask(DEAD)
    taken(machine("fourth"))


@pytest.mark.parametrize("torn", [b"", b'{"kind": "base", "files"'])
def test_a_torn_manifest_is_no_copy(
    machine: Machine, ask: Ask, behind: Server | None, log: list[str], torn: bytes
) -> None:
    with serving(Hub(FILES)) as url:
        ask(url)
        store = machine().store
        taken(machine())
        replace(store, f"{MIRROR}/{MANIFEST}", torn, behind)
        taken(machine("second"))
        ask(DEAD)
        with pytest.raises(DataError, match=f"{MIRROR}/manifest.json is not a manifest.*delete"):
            base_folder(machine("third"))
    assert any("gets no copy of the base" in line for line in log)


def test_a_base_that_another_run_planted_is_not_loaded(machine: Machine, ask: Ask, tmp_path: Path) -> None:
    context = machine()
    planted = tmp_path / "planted"
    planted.mkdir()
    for name, data in {**TRAINABLE, "model.safetensors": b"backdoor"}.items():
        (planted / name).write_bytes(data)
    meta = {"base": "open/model", "revision": COMMIT}
    theirs = publish(planted, context.store, MIRROR, kind="base", code="", meta=meta, keep=True)
    ask(DEAD)
    with pytest.raises(DataError, match="cannot be had from the hub"):
        base_folder(context)
    with serving(Hub(FILES)) as url:
        ask(url)
        taken(context)
    assert find(context.store, MIRROR) == theirs.manifest, "and it is not ours to replace"
    (pinned,) = [find_pin(context.store, context.secret)]
    assert pinned and pinned.digest != theirs.digest


def test_a_pin_that_somebody_replaced_is_refused(machine: Machine, ask: Ask, behind: Server | None) -> None:
    with serving(Hub(FILES)) as url:
        ask(url)
        context, other = machine(), machine("other", run="run-2")
        taken(context)
        taken(other)
    own, theirs = (bytes(context.store.get(f"runs/{run}/base.json")) for run in ("run-1", "run-2"))
    for forged in (b"{}", b"", b'{"manifest": "{}", "code": "x"}', theirs, own.replace(b"open/model", b"evil/model")):
        replace(context.store, "runs/run-1/base.json", forged, behind)
        with pytest.raises((RefusedError, DataError), match=r"base\.json"):
            base_folder(machine("second"))


@pytest.mark.parametrize(
    ("model", "token", "words"),
    [
        ("gated/model", None, "gated/model is gated, and HF_TOKEN is not set: accept its licence"),
        ("gated/model", "hf_new", "HF_TOKEN's account has not been let in: accept its licence"),
        ("gated/model", "hf_wrong", "the hub does not accept HF_TOKEN"),
        ("no/model", None, "the hub shows no model no/model to the public: correct model.base"),
        ("no/model", "hf_let_in", "the hub shows no model no/model to HF_TOKEN: correct model.base"),
        ("a/b/c", None, "no model's name"),
    ],
)
def test_what_the_hub_refuses_is_said_with_its_fix(model: str, token: str | None, words: str) -> None:
    with serving(Hub(FILES)) as url, pytest.raises(ConfigError, match=words) as refused:
        read_revision(model, None, {"HF_ENDPOINT": url} | ({"HF_TOKEN": token} if token else {}))
    assert "\n" not in str(refused.value)


def test_what_the_hub_refuses_ends_the_stage_as_it_was_said(machine: Machine, ask: Ask) -> None:
    with serving(Hub(FILES)) as url, pytest.raises(ConfigError, match=r"gated/model is gated, and .*HF_TOKEN=hf_"):
        ask(url)
        base_folder(machine(base="gated/model"))


INDEX = b'{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}'
SHARDED = {
    **{name: data for name, data in TRAINABLE.items() if name != "model.safetensors"},
    "model.safetensors.index.json": INDEX,
    "model-1.safetensors": b"one",
    "model-2.safetensors": b"two",
    "consolidated.safetensors": b"the same again",
}


def without(files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
    return {other: data for other, data in files.items() if other != name}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (without(TRAINABLE, "config.json"), "holds no config.json"),
        ({"adapter_config.json": b"{}"}, "holds an adapter alone"),
        (without(TRAINABLE, "model.safetensors") | {"pytorch_model.bin": b"x"}, "holds no model.safetensors and no"),
        (without(SHARDED, "model-2.safetensors"), "lacks 'model-2.safetensors', which its model.safetensors.index"),
        (SHARDED | {"model.safetensors.index.json": b"[]"}, "holds no JSON object"),
        (SHARDED | {"model.safetensors.index.json": b"{}"}, "maps no weights to files"),
    ],
)
def test_what_cannot_be_loaded_is_not_downloaded(files: Mapping[str, bytes], words: str) -> None:
    hub = Hub(files)
    with serving(hub) as url, pytest.raises(ConfigError, match=words):
        read_revision("open/model", None, {"HF_ENDPOINT": url})
    assert not [path for path in hub.asked if path.endswith(".safetensors")]


def test_of_several_sets_of_weights_the_one_of_the_index_is_taken(machine: Machine, ask: Ask) -> None:
    with serving(Hub(SHARDED)) as url:
        ask(url)
        folder = base_folder(machine())
    assert folder and {path.name for path in folder.glob("*.safetensors")} == {
        "model-1.safetensors",
        "model-2.safetensors",
    }


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_hub_that_gives_other_bytes_than_it_lists_is_not_believed(
    profile: Profile, tmp_path: Path, ask: Ask, name: str
) -> None:
    based = Profile.model_validate(profile.model_dump() | {"model": {"base": "open/model"}})
    context = context_of(open_store(str(tmp_path / "bucket")), based, tmp_path / "work")
    with serving(Hub(FILES, listed={name: b"x" * len(FILES[name])})) as url:
        ask(url)
        with pytest.raises(DataError, match=r"cannot be had from the hub, asked for 1 s: .* other bytes .*it lists"):
            base_folder(context)
    assert find(context.store, MIRROR) is None


def test_a_download_that_was_cut_off_goes_on_with_what_is_right(profile: Profile, tmp_path: Path, ask: Ask) -> None:
    based = Profile.model_validate(profile.model_dump() | {"model": {"base": "open/model"}})
    context = context_of(open_store(str(tmp_path / "bucket")), based, tmp_path / "work")
    with serving(Hub(SHARDED)) as url:
        pin = read_revision("open/model", None, {"HF_ENDPOINT": url})
    part = context.work / "inputs" / f"{pin.digest}.part"
    part.mkdir(parents=True)
    (part / "model-1.safetensors").write_bytes(b"one")
    (part / "model-2.safetensors").write_bytes(b"tw0")
    hub = Hub(SHARDED)
    with serving(hub) as url:
        ask(url)
        folder = base_folder(context)
    assert folder and (folder / "model-2.safetensors").read_bytes() == b"two"
    times = [sum(path.endswith(f"model-{number}.safetensors") for path in hub.asked) for number in (1, 2)]
    assert times[0] < times[1], "of the first, only what it is was asked"


def test_two_runs_that_mirror_at_once_leave_one_right_copy(machine: Machine, ask: Ask) -> None:
    contexts = [machine(f"machine-{number}", run=f"run-{number}") for number in range(3)]
    found: list[Path] = []
    with serving(Hub(FILES)) as url:
        ask(url)
        threads = [threading.Thread(target=lambda c=context: found.append(taken(c))) for context in contexts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 3
    ask(DEAD)
    taken(machine("later", run="run-1"))


def test_a_bucket_that_takes_no_copy_is_only_warned_of(
    profile: Profile, proxy: Proxy, tmp_path: Path, ask: Ask, log: list[str]
) -> None:
    proxy.plan = lambda request: (
        Fault("status", status=403, code="AccessDenied")
        if request.method in ("PUT", "POST") and "/bases/" in f"/{request.key}"
        else None
    )
    based = Profile.model_validate(profile.model_dump() | {"model": {"base": "open/model"}})
    with serving(Hub(FILES)) as url:
        ask(url)
        taken(context_of(open_store(f"s3://{BUCKET}/kit"), based, tmp_path / "work"))
    assert any("the bucket gets no copy of the base" in line for line in log)


def folder_of(path: Path, **changes: bytes) -> Path:
    path.mkdir()
    for name, data in {**TRAINABLE, **changes}.items():
        (path / name).write_bytes(data)
    return path


def test_a_base_in_a_folder_is_the_same_on_every_machine(profile: Profile, store: Store, tmp_path: Path) -> None:
    base = folder_of(tmp_path / "base")
    based = Profile.model_validate(profile.model_dump() | {"model": {"base": str(base)}})
    first = base_artifact(context_of(store, based, tmp_path / "first"))
    assert first and first.path == base and mirror_prefix(first.manifest) is None
    links = tmp_path / "blobs"
    base.rename(links)
    base.mkdir()
    for path in links.iterdir():  # as the hub's cache lays a model out
        (base / path.name).symlink_to(path)
    again = base_artifact(context_of(store, based, tmp_path / "second"))
    assert again and again.digest == first.digest
    (links / "model.safetensors").write_bytes(b"Weights")
    with pytest.raises(DataError, match=r"not the model that run run-1 began with: 'model\.safetensors' is another"):
        base_artifact(context_of(store, based, tmp_path / "third"))
    assert not store.list("bases"), "it is not copied"


def test_an_adapter_of_another_base_is_refused(profile: Profile, store: Store, tmp_path: Path) -> None:
    based = Profile.model_validate(profile.model_dump() | {"model": {"base": str(folder_of(tmp_path / "base"))}})
    base = base_artifact(context_of(store, based, tmp_path / "work"))
    assert base
    require_trained_on(base, "sft", Manifest(kind="sft", files=(), inputs={"base": base.digest}))
    require_trained_on(base, "sft", Manifest(kind="sft", files=()))
    with pytest.raises(
        DataError, match=r"what sft made was trained on another base \(ffffffffffff\) .*start a new run"
    ):
        require_trained_on(base, "sft", Manifest(kind="sft", files=(), inputs={"base": "f" * 64}))


def test_a_model_from_nothing_has_no_base(profile: Profile, store: Store, tmp_path: Path) -> None:
    assert base_folder(context_of(store, profile, tmp_path / "work")) is None and not store.list("runs/run-1/base.json")
