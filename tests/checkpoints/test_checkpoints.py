import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cortex.artifacts.artifact import publish
from cortex.artifacts.lease import Lease
from cortex.artifacts.manifest import MANIFEST, Manifest
from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.checkpoints.checkpoints import Checkpoints
from cortex.errors import DataError, RefusedError
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import RunContext
from cortex.runs.ledger import LedgerReader
from cortex.runs.run_secret import RunSecret
from tests.checkpoints.conftest import RUN, NewContext, context_of
from tests.checkpoints.toy import chain, restore, save

pytestmark = pytest.mark.integration

WEIGHTS, OPTIMIZER, STATE = "model.safetensors", "optimizer.pt", "trainer_state.json"
KEEP = 3


def stage(context: RunContext) -> Checkpoints:
    return Checkpoints(context, "sft", keep=KEEP)


def commit(checkpoints: Checkpoints, step: int, score: float | None = None) -> None:
    """Save, commit, and send where the bucket is elsewhere."""
    folder = save(checkpoints.saving / f"checkpoint-{step}", chain(step), step)
    checkpoints.commit(folder, step, 1, score)
    if checkpoints.remote:
        checkpoints.upload(step)


def quarantined(store: Store) -> list[tuple[int, str]]:
    events = LedgerReader(store, RUN).new_events()
    return [(event["step"], event["reason"]) for event in events if event["event"] == "checkpoint_quarantined"]


def steps_in(store: Store) -> list[int]:
    keys = [entry.key.split("/") for entry in store.list(f"runs/{RUN}/sft/checkpoints")]
    return sorted({int(parts[4]) for parts in keys if parts[-1] == MANIFEST})


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zero_half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def link(path: Path) -> None:
    path.rename(path.parent.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent.parent / "elsewhere")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no manifest": lambda folder: (folder / MANIFEST).unlink(),
    "empty manifest": lambda folder: (folder / MANIFEST).write_bytes(b""),
    "torn manifest": lambda folder: halve(folder / MANIFEST),
    "edited manifest": lambda folder: (folder / MANIFEST).write_text((folder / MANIFEST).read_text() + " "),
    "empty folder": lambda folder: (shutil.rmtree(folder), folder.mkdir()),
    "a file in its place": lambda folder: (shutil.rmtree(folder), folder.write_text("")),
    "weights missing": lambda folder: (folder / WEIGHTS).unlink(),
    "weights empty": lambda folder: (folder / WEIGHTS).write_bytes(b""),
    "weights cut": lambda folder: halve(folder / WEIGHTS),
    "weights half zeroes": lambda folder: zero_half(folder / WEIGHTS),
    "one bit of the weights": lambda folder: flip(folder / WEIGHTS),
    "weights a link": lambda folder: link(folder / WEIGHTS),
    "optimizer missing": lambda folder: (folder / OPTIMIZER).unlink(),
    "optimizer cut": lambda folder: halve(folder / OPTIMIZER),
    "optimizer half zeroes": lambda folder: zero_half(folder / OPTIMIZER),
    "scheduler missing": lambda folder: (folder / "scheduler.pt").unlink(),
    "random state missing": lambda folder: (folder / "rng_state.pth").unlink(),
    "trainer state missing": lambda folder: (folder / STATE).unlink(),
    "trainer state cut": lambda folder: halve(folder / STATE),
    "trainer state of another step": lambda folder: (folder / STATE).write_text(json.dumps({"global_step": 19})),
    "configuration missing": lambda folder: (folder / "config.json").unlink(),
    "a file too many": lambda folder: (folder / "model-00002.safetensors").write_bytes(b"x"),
    "a file of another step": lambda folder: shutil.copy(folder.parent / "10" / WEIGHTS, folder / WEIGHTS),
    "all files of another step": lambda folder: (
        shutil.rmtree(folder),
        shutil.copytree(folder.parent / "10", folder),
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_any_damage_on_disk_falls_back_to_the_older_good_one(damage: str, profile: Profile, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "bucket"))
    checkpoints = stage(context_of(store, profile, tmp_path / "work"))
    commit(checkpoints, 10)
    commit(checkpoints, 20)
    newer = checkpoints.newest()
    assert newer is not None and restore(newer) == (chain(20), 20)
    DAMAGE[damage](newer)
    found = stage(context_of(store, profile, tmp_path / "work")).newest()
    assert found is not None and restore(found) == (chain(10), 10)
    assert [step for step, _ in quarantined(store)] == [20]
    assert not os.path.lexists(newer)
    assert len(list((tmp_path / "bucket" / "runs" / RUN / "sft" / "quarantine").iterdir())) == 1
    assert stage(context_of(store, profile, tmp_path / "work")).newest() == found


class Marks:
    """A hostile pickle, which leaves a mark when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.path),)


def forge(store: Store, folder: Path, step: int, context: RunContext, secret: RunSecret | None) -> None:
    """Publish a checkpoint as any writer to the bucket can: right in every byte, under whatever secret is known."""

    def code(manifest: Manifest) -> str:
        assert secret
        return secret.code("checkpoint", "sft", str(step), manifest.digest)

    publish(
        folder,
        store,
        f"runs/{RUN}/sft/checkpoints/{step}",
        kind="checkpoint",
        profile=context.profile.digest,
        meta={"run": RUN, "stage": "sft", "step": step, "score": 1e9},
        code_of=code if secret else None,
    )


OTHERS: dict[str, RunSecret | None] = {
    "no secret": None,
    "another run's secret": RunSecret("run-2", "a secret of tests, 32 letters long"),
    "a guess": RunSecret(RUN, "a secret of tests, 33 letters long"),
}


@pytest.mark.parametrize("who", OTHERS)
def test_what_another_wrote_is_not_resumed_from_and_pushes_nothing_out(
    who: str, kept: str, new_context: NewContext, tmp_path: Path
) -> None:
    context = new_context()
    checkpoints, store = stage(context), open_store(kept)
    for step in (10, 20, 30):
        commit(checkpoints, step)
    for step in (999_997, 999_998, 999_999):
        folder = save(tmp_path / "forged", chain(step), step)
        (folder / "pytorch_model_fsdp_0").mkdir()
        (folder / "pytorch_model_fsdp_0" / ".metadata").write_bytes(pickle.dumps(Marks(tmp_path / "opened")))
        forge(store, folder, step, context, OTHERS[who])
        shutil.rmtree(folder, ignore_errors=True)
    checkpoints.prune()
    checkpoints.prune_bucket()
    assert {10, 20, 30} <= set(steps_in(store)), "a forged score or number pushes none of the run's own out"
    shutil.rmtree(tmp_path / "work", ignore_errors=True)
    found = stage(new_context()).newest()
    assert found is not None and restore(found) == (chain(30), 30)
    assert [step for step, _ in quarantined(store)] == [999_999, 999_998, 999_997]
    assert all("was not made with this run's secret" in reason for _, reason in quarantined(store))
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("change", ["another step", "another score", "another stage"])
def test_a_runs_own_checkpoint_is_not_resumed_from_as_another(change: str, profile: Profile, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "bucket"))
    checkpoints = stage(context_of(store, profile, tmp_path / "work"))
    commit(checkpoints, 10, score=1.0)
    folder = tmp_path / "bucket" / "runs" / RUN / "sft" / "checkpoints"
    meta = {"another step": {"step": 40}, "another score": {"score": 9.0}, "another stage": {"stage": "grpo"}}[change]
    manifest = json.loads((folder / "10" / MANIFEST).read_text())
    manifest["meta"] |= meta
    name, where = ("40", folder) if "step" in meta else ("10", folder)
    if "stage" in meta:
        where = folder.parent.parent / "grpo" / "checkpoints"
    shutil.copytree(folder / "10", tmp_path / "copy")
    shutil.rmtree(folder / "10")
    shutil.copytree(tmp_path / "copy", where / name)
    (where / name / MANIFEST).write_bytes(Manifest.model_validate(manifest).data)
    wanted = str(manifest["meta"]["stage"])
    assert Checkpoints(context_of(store, profile, tmp_path / "work"), wanted, keep=KEEP).newest() is None
    assert "was not made with this run's secret" in quarantined(store)[-1][1]


def test_what_lacks_a_part_or_imports_more_than_tensors_is_not_resumed_from_though_it_is_the_runs_own(
    kept: str, new_context: NewContext, tmp_path: Path
) -> None:
    context = new_context()
    commit(stage(context), 10)
    part = save(tmp_path / "part", chain(20), 20)
    (part / OPTIMIZER).unlink()
    forge(open_store(kept), part, 20, context, context.secret)
    pickled = save(tmp_path / "pickled", chain(30), 30)
    (pickled / "optimizer_0").mkdir()
    (pickled / "optimizer_0" / ".metadata").write_bytes(pickle.dumps(Marks(tmp_path / "opened")))
    forge(open_store(kept), pickled, 30, context, context.secret)
    found = stage(new_context()).newest()
    assert found is not None and restore(found) == (chain(10), 10)
    reasons = [reason for _, reason in quarantined(open_store(kept))]
    assert any("it lacks optimizer state" in reason for reason in reasons)
    assert any("would import 'posix.mkdir'" in reason for reason in reasons)
    assert not (tmp_path / "opened").exists()


def test_the_steps_are_compared_as_numbers(new_context: NewContext) -> None:
    checkpoints = stage(new_context())
    commit(checkpoints, 9)
    commit(checkpoints, 20)
    found = stage(new_context()).newest()
    assert found is not None and found.name == "20"


@pytest.mark.parametrize("damage", ["flipped", "cut", "longer", "gone", "manifest cut", "manifest of another step"])
def test_a_new_machine_falls_back_where_the_bucket_lies(
    damage: str, profile: Profile, proxy: object, tmp_path: Path
) -> None:
    """The machine's disk is empty: it resumes from the bucket, verified on the way."""
    assert proxy
    store = open_store("s3://bucket/kit")
    checkpoints = stage(context_of(store, profile, tmp_path / "old"))
    commit(checkpoints, 10)
    commit(checkpoints, 20)
    key = f"runs/{RUN}/sft/checkpoints/20"
    weights = store.get(f"{key}/{WEIGHTS}")
    match damage:
        case "flipped":
            store.put(f"{key}/{WEIGHTS}", bytes([weights[0] ^ 1]) + weights[1:])
        case "cut":
            store.put(f"{key}/{WEIGHTS}", weights[:-1])
        case "longer":
            store.put(f"{key}/{WEIGHTS}", weights + b"x")
        case "gone":
            store.delete(f"{key}/{WEIGHTS}")
        case "manifest cut":
            store.put(f"{key}/{MANIFEST}", store.get(f"{key}/{MANIFEST}")[:-5])
        case _:
            store.put(f"{key}/{MANIFEST}", store.get(f"runs/{RUN}/sft/checkpoints/10/{MANIFEST}"))
    found = stage(context_of(store, profile, tmp_path / "new")).newest()
    assert found is not None and restore(found) == (chain(10), 10)
    assert [step for step, _ in quarantined(store)] == [20]
    assert steps_in(store) == [10]
    # The trainer comes to the same step again, which is sent anew, over the damaged one.
    again = stage(context_of(store, profile, tmp_path / "new"))
    commit(again, 20)
    found = stage(context_of(store, profile, tmp_path / "newer")).newest()
    assert found is not None and restore(found) == (chain(20), 20)


def test_an_upload_that_never_ended_is_no_checkpoint(profile: Profile, proxy: object, tmp_path: Path) -> None:
    assert proxy
    store = open_store("s3://bucket/kit")
    commit(stage(context_of(store, profile, tmp_path / "old")), 10)
    store.put(f"runs/{RUN}/sft/checkpoints/20/{WEIGHTS}", b"half")
    found = stage(context_of(store, profile, tmp_path / "new")).newest()
    assert found is not None and found.name == "10"
    assert quarantined(store) == []


@pytest.mark.parametrize("where", ["run", "stage", "profile"])
def test_anothers_checkpoint_is_never_resumed_from(where: str, profile: Profile, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "bucket"))
    other = {
        "run": lambda: Checkpoints(context_of(store, profile, tmp_path / "other", run="other"), "sft", keep=KEEP),
        "stage": lambda: Checkpoints(context_of(store, profile, tmp_path / "other"), "grpo", keep=KEEP),
        "profile": lambda: stage(context_of(store, load_profile("rehearsal", {"seed": 9}), tmp_path / "other")),
    }[where]()
    commit(other, 10)
    source = other.newest()
    assert source
    target = tmp_path / "bucket" / "runs" / RUN / "sft" / "checkpoints" / "10"
    if source != target:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target)
    assert stage(context_of(store, profile, tmp_path / "work")).newest() is None
    [(step, reason)] = quarantined(store)
    expected = {"run": "run other", "stage": "stage grpo", "profile": "another profile"}[where]
    assert step == 10 and expected in reason


def test_when_all_are_bad_nothing_is_lost(profile: Profile, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "bucket"))
    for round_number in (1, 2):
        checkpoints = stage(context_of(store, profile, tmp_path / "work"))
        for step in (10, 20, 30):
            commit(checkpoints, step)
            flip(tmp_path / "bucket" / "runs" / RUN / "sft" / "checkpoints" / str(step) / WEIGHTS)
        assert stage(context_of(store, profile, tmp_path / "work")).newest() is None
        aside = list((tmp_path / "bucket" / "runs" / RUN / "sft" / "quarantine").iterdir())
        assert len(aside) == 3 * round_number
        for path in aside:
            flip(path / WEIGHTS)
            assert (path / WEIGHTS).read_bytes() == chain(int(path.name.split("-")[0])) * (1000 // 32)
            flip(path / WEIGHTS)
    assert [step for step, _ in quarantined(store)] == [30, 20, 10] * 2


def test_a_checkpoint_under_another_steps_name_is_refused(profile: Profile, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "bucket"))
    checkpoints = stage(context_of(store, profile, tmp_path / "work"))
    commit(checkpoints, 10)
    path = checkpoints.newest()
    assert path
    path.rename(path.with_name("90"))
    assert stage(context_of(store, profile, tmp_path / "work")).newest() is None
    [(step, reason)] = quarantined(store)
    assert step == 90 and "step 10" in reason


def test_what_is_no_checkpoint_is_left_alone(profile: Profile, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "bucket"))
    checkpoints = stage(context_of(store, profile, tmp_path / "work"))
    assert checkpoints.newest() is None
    commit(checkpoints, 10)
    good = checkpoints.newest()
    assert good
    others = [good.with_name(name) for name in ("best", "20.part", "030", "-40")]
    for other in others:
        other.mkdir()
    assert stage(context_of(store, profile, tmp_path / "work")).newest() == good
    assert all(other.is_dir() for other in others)
    assert quarantined(store) == []


def test_a_save_that_was_never_committed_is_removed(new_context: NewContext) -> None:
    checkpoints = stage(new_context())
    commit(checkpoints, 10)
    save(checkpoints.saving / "checkpoint-20", chain(20), 20)
    (checkpoints.saving / "model.safetensors").write_bytes(b"of the trainer's own")
    context = new_context()
    found = stage(context).newest()
    assert found is not None and found.name == "10"
    assert [path.name for path in checkpoints.saving.iterdir()] == ["model.safetensors"]
    names = [event["event"] for event in LedgerReader(context.store, RUN).new_events()]
    assert names == ["checkpoint_discarded", "resumed"]


@pytest.mark.parametrize("part", [WEIGHTS, OPTIMIZER, "scheduler.pt", "rng_state.pth", STATE])
def test_what_lacks_a_part_is_not_committed(part: str, new_context: NewContext) -> None:
    checkpoints = stage(new_context())
    folder = save(checkpoints.saving / "checkpoint-10", chain(10), 10)
    (folder / part).unlink()
    with pytest.raises(DataError, match=r"lacks .*: it cannot be continued from"):
        checkpoints.commit(folder, 10, 1, None)
    assert checkpoints.newest() is None


def test_every_rank_has_to_have_saved_its_random_state(new_context: NewContext) -> None:
    checkpoints = stage(new_context())
    folder = save(checkpoints.saving / "checkpoint-10", chain(10), 10)
    (folder / "rng_state.pth").rename(folder / "rng_state_0.pth")
    with pytest.raises(DataError, match=r"lacks rng_state_1\.pth"):
        checkpoints.commit(folder, 10, 2, None)
    (folder / "rng_state_1.pth").write_bytes(b"random")
    checkpoints.commit(folder, 10, 2, None)


def test_the_newest_and_the_best_are_kept(new_context: NewContext) -> None:
    context = new_context()
    checkpoints = stage(context)
    for step, score in ((10, -3.0), (20, -1.0), (30, -2.0), (40, -2.5), (50, -2.2), (60, -2.1)):
        commit(checkpoints, step, score)
        checkpoints.prune()
        checkpoints.prune_bucket()
    assert steps_in(context.store) == [20, 40, 50, 60]
    found = stage(new_context()).newest()
    assert found is not None and found.name == "60"
    local = found.parent
    assert sorted(int(path.name) for path in local.iterdir()) == [20, 40, 50, 60]


SCORES = ((10, -2.0), (20, -1.0), (30, None), (40, -1.0), (50, None), (60, -3.0))


def new_machine(context: RunContext) -> Checkpoints:
    shutil.rmtree(context.work, ignore_errors=True)
    return stage(context)


def test_the_best_comes_to_a_new_machine_with_the_newest(new_context: NewContext) -> None:
    checkpoints = stage(new_context())
    for step, score in SCORES:
        commit(checkpoints, step, score)
    other = new_machine(new_context())
    found = other.newest()
    assert found is not None and found.name == "60"
    other.bring_best()
    assert (other.committed / "20" / MANIFEST).is_file(), "of equals the earlier"
    if other.remote:
        assert sorted(int(path.name) for path in other.committed.iterdir()) == [20, 60]


def test_a_damaged_best_is_put_aside_and_the_next_best_is_brought(new_context: NewContext) -> None:
    context = new_context()
    checkpoints = stage(context)
    for step, score in SCORES:
        commit(checkpoints, step, score)
    key = f"runs/{RUN}/sft/checkpoints/20/{WEIGHTS}"
    context.store.put(key, bytes(len(context.store.get(key))))
    other = new_machine(new_context())
    other.newest()
    other.bring_best()
    assert (other.committed / "40" / MANIFEST).is_file()
    assert not (other.committed / "20").exists()
    assert [step for step, _ in quarantined(context.store)] == [20]


def test_a_damaged_manifest_is_left_for_the_next_start_and_the_others_are_pruned(new_context: NewContext) -> None:
    checkpoints = stage(new_context())
    for step in (10, 20, 30, 40, 50):
        commit(checkpoints, step)
    found = checkpoints.newest()
    assert found
    (found.with_name("20") / MANIFEST).write_bytes(b"{")
    checkpoints.prune()
    assert sorted(int(path.name) for path in found.parent.iterdir()) == [20, 30, 40, 50]


def test_a_writer_that_lost_the_run_commits_nothing_more_to_the_bucket(new_context: NewContext) -> None:
    first = new_context()
    old = stage(first)
    commit(old, 10)
    Lease.take(first.store, RUN)
    with pytest.raises(RefusedError, match="was taken over"):
        commit(old, 20)
    assert steps_in(first.store) == [10]


def test_what_a_lost_writer_left_in_the_way_is_put_aside(new_context: NewContext, tmp_path: Path) -> None:
    """The lost writer commits a step just as the next holder looks; the holder's own save replaces it."""
    first = new_context()
    commit(stage(first), 10)
    second = replace(new_context(), work=tmp_path / "elsewhere")
    checkpoints = stage(second)
    assert checkpoints.newest() is not None
    commit(stage(replace(first, lease=second.lease)), 20)
    folder = save(checkpoints.saving / "checkpoint-20", chain(20), 20)
    (folder / "notes.json").write_text("{}")
    checkpoints.commit(folder, 20, 1, None)
    if checkpoints.remote:
        checkpoints.upload(20)
    found = stage(new_context()).newest()
    assert found is not None and restore(found) == (chain(20), 20)
    assert (20, "it lies where a newer one belongs") in quarantined(first.store)
