import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cortex.artifacts.artifact import find, publish
from cortex.artifacts.lease import Lease
from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.checkpoints.items import Items, discard_items, lay_out
from cortex.errors import RefusedError
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import RunContext
from cortex.runs.ledger import LedgerReader
from cortex.runs.run_secret import RunSecret
from tests.artifacts.conftest import hurried
from tests.artifacts.faulty import Fault, Proxy, Request
from tests.checkpoints.conftest import RUN, NewContext, context_of

pytestmark = pytest.mark.integration

INPUTS = {"grpo": "0" * 64}
KEY = f"runs/{RUN}/export/checkpoints/model"


def items(context: RunContext) -> Items:
    return Items(context, "export", INPUTS)


def writing(text: str) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        assert not any(folder.iterdir())
        (folder / "weights").mkdir()
        (folder / "weights" / "model.safetensors").write_text(text * 100)
        (folder / "config.json").write_text("{}")

    return fill


def never(folder: Path) -> None:
    raise AssertionError("made again")


def text_of(folder: Path) -> str:
    return (folder / "weights" / "model.safetensors").read_text()[:3]


def refused(store: Store) -> list[str]:
    return [event["reason"] for event in LedgerReader(store, RUN).new_events() if event["event"] == "item_refused"]


def test_an_item_is_made_once_and_the_next_machine_has_it(kept: str, profile: Profile, tmp_path: Path) -> None:
    store = open_store(kept)
    assert text_of(items(context_of(store, profile, tmp_path / "work")).make("model", writing("one"))) == "one"
    for work in ("work", "elsewhere"):
        folder = items(context_of(store, profile, tmp_path / work)).make("model", never)
        assert text_of(folder) == "one"
        manifest = Manifest.read(folder)
        assert (manifest.kind, manifest.inputs, manifest.profile) == ("item", INPUTS, profile.digest)
    assert refused(store) == []


def test_what_was_under_way_is_begun_anew(new_context: NewContext) -> None:
    def half(folder: Path) -> None:
        (folder / "half").write_text("written")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        items(new_context()).make("model", half)
    assert text_of(items(new_context()).make("model", writing("two"))) == "two"


def flip(path: Path) -> None:
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


DAMAGE: dict[str, Callable[[Path], object]] = {
    "one bit": lambda folder: flip(folder / "weights" / "model.safetensors"),
    "a file gone": lambda folder: (folder / "config.json").unlink(),
    "a file too many": lambda folder: (folder / "other.json").write_text("{}"),
    "no manifest": lambda folder: (folder / MANIFEST).unlink(),
    "torn manifest": lambda folder: (folder / MANIFEST).write_bytes((folder / MANIFEST).read_bytes()[:50]),
    "a file in its place": lambda folder: (shutil.rmtree(folder), folder.write_text("")),
    "another item in its place": lambda folder: (
        shutil.rmtree(folder),
        shutil.copytree(folder.with_name("answers"), folder),
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_any_damage_on_disk_is_found_and_mended(damage: str, kept: str, new_context: NewContext) -> None:
    first = items(new_context())
    first.make("answers", writing("yes"))
    DAMAGE[damage](first.make("model", writing("one")))
    # The item comes from the bucket if that is elsewhere; otherwise it is made again.
    again = never if "://" in kept else writing("one")
    assert text_of(items(new_context()).make("model", again)) == "one"
    assert len(refused(open_store(kept))) == 1
    assert text_of(items(new_context()).make("model", never)) == "one"


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone", "manifest cut", "manifest of another item"])
def test_what_the_bucket_has_lost_is_made_again(damage: str, profile: Profile, proxy: object, tmp_path: Path) -> None:
    assert proxy
    store = open_store("s3://bucket/kit")
    first = items(context_of(store, profile, tmp_path / "old"))
    first.make("answers", writing("yes"))
    first.make("model", writing("one"))
    weights, manifest = f"{KEY}/weights/model.safetensors", f"{KEY}/{MANIFEST}"
    data = store.get(weights)
    match damage:
        case "flipped":
            store.put(weights, bytes([data[0] ^ 1]) + data[1:])
        case "cut":
            store.put(weights, data[:-1])
        case "gone":
            store.delete(weights)
        case "manifest cut":
            store.put(manifest, store.get(manifest)[:-5])
        case _:
            store.put(manifest, store.get(f"runs/{RUN}/export/checkpoints/answers/{MANIFEST}"))
    assert text_of(items(context_of(store, profile, tmp_path / "new")).make("model", writing("one"))) == "one"
    assert len(refused(store)) == 1
    assert text_of(items(context_of(store, profile, tmp_path / "newer")).make("model", never)) == "one"


SECRETS: dict[str, RunSecret | None] = {
    "no secret": None,
    "another run's secret": RunSecret("run-2", "a secret of tests, 32 letters long"),
    "a guess": RunSecret(RUN, "a secret of tests, 33 letters long"),
}


@pytest.mark.parametrize("who", SECRETS)
def test_what_another_wrote_is_not_used(who: str, kept: str, new_context: NewContext, tmp_path: Path) -> None:
    """A writer to the bucket puts whole and verified weights there before the stage has made its own."""
    secret, forged = SECRETS[who], tmp_path / "forged"
    forged.mkdir()
    writing("bad")(forged)

    def code(manifest: Manifest) -> str:
        assert secret
        return secret.code("item", "export", "model", manifest.digest)

    origin = {"kind": "item", "inputs": INPUTS, "profile": new_context().profile.digest}
    publish(forged, open_store(kept), KEY, **origin, code_of=code if secret else None)
    assert text_of(items(new_context()).make("model", writing("one"))) == "one"
    assert "was not made with this run's secret" in refused(open_store(kept))[0]


def test_an_item_of_another_profile_or_of_other_inputs_is_not_used(kept: str, profile: Profile, tmp_path: Path) -> None:
    store = open_store(kept)
    other = load_profile("rehearsal", {"seed": 9})
    items(context_of(store, other, tmp_path / "work")).make("model", writing("one"))
    context = context_of(store, profile, tmp_path / "work")
    assert text_of(items(context).make("model", writing("two"))) == "two"
    again = Items(context_of(store, profile, tmp_path / "work"), "export", {"grpo": "1" * 64})
    assert text_of(again.make("model", writing("six"))) == "six"
    assert all("another profile, or from other artifacts" in reason for reason in refused(store))


def test_an_outage_ends_nothing_and_what_was_not_sent_is_sent_later(
    profile: Profile, proxy: Proxy, tmp_path: Path
) -> None:
    store = hurried()
    work = items(context_of(store, profile, tmp_path / "work"))

    def refuse(request: Request) -> Fault | None:
        return Fault("status") if request.method == "PUT" and "/checkpoints/" in request.key else None

    proxy.plan = refuse
    work.make("model", writing("one"))
    assert find(store, KEY) is None
    proxy.plan = lambda request: None
    work.make("answers", writing("yes"))
    elsewhere = items(context_of(store, profile, tmp_path / "elsewhere"))
    assert text_of(elsewhere.make("model", never)) == "one"
    assert text_of(elsewhere.make("answers", never)) == "yes"


def test_what_an_earlier_attempt_did_not_live_to_send_is_sent(profile: Profile, proxy: Proxy, tmp_path: Path) -> None:
    assert proxy
    store = open_store("s3://bucket/kit")
    items(context_of(store, profile, tmp_path / "work")).make("model", writing("one"))
    store.delete(KEY)
    items(context_of(store, profile, tmp_path / "work")).make("model", never)
    assert text_of(items(context_of(store, profile, tmp_path / "elsewhere")).make("model", never)) == "one"


def test_who_lost_the_run_sends_nothing(profile: Profile, proxy: object, tmp_path: Path) -> None:
    assert proxy
    store = open_store("s3://bucket/kit")
    work = items(context_of(store, profile, tmp_path / "work"))
    Lease.take(store, RUN)
    with pytest.raises(RefusedError, match="taken over"):
        work.make("model", writing("one"))
    assert find(store, KEY) is None


def test_once_the_artifact_is_there_items_go_and_checkpoints_stay(kept: str, new_context: NewContext) -> None:
    context, store = new_context(), open_store(kept)
    folder = items(context).make("model", writing("one"))
    store.put(f"runs/{RUN}/export/checkpoints/40/{MANIFEST}", b"{}")
    target = context.work / "laid out"
    lay_out(folder, target)
    discard_items(context, "export")
    assert [entry.key for entry in store.list(f"runs/{RUN}/export/checkpoints")] == [
        f"runs/{RUN}/export/checkpoints/40/{MANIFEST}"
    ]
    assert text_of(target) == "one", "what was laid out is not what was discarded"
    assert not (target / MANIFEST).exists()


def test_laying_out_costs_no_disk_where_there_are_links_and_works_where_there_are_none(
    profile: Profile, tmp_path: Path
) -> None:
    store = open_store(str(tmp_path / "bucket"))
    folder = items(context_of(store, profile, tmp_path / "work")).make("model", writing("one"))
    near, other = tmp_path / "near", Path("/dev/shm") / f"laid-out-{tmp_path.name}"
    lay_out(folder, near)
    assert (near / "config.json").stat().st_ino == (folder / "config.json").stat().st_ino
    if not other.parent.is_dir() or other.parent.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    try:
        lay_out(folder, other)
        assert text_of(other) == "one"
    finally:
        shutil.rmtree(other, ignore_errors=True)
