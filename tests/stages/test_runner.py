import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from cortex.artifacts.artifact import find, publish
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.lease import Lease
from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store, StoreError
from cortex.artifacts.verify import verify
from cortex.errors import DataError, PreemptedError, RefusedError, StageError, UsageError
from cortex.profiles.profile import Profile
from cortex.runs.context import RunContext, artifact_prefix, inputs_folder
from cortex.runs.ledger import LedgerReader
from cortex.runs.run_state import stage_reports
from cortex.settings import Settings
from cortex.stages.runner import run_stage
from tests.artifacts.faulty import Proxy, Request
from tests.conftest import environment
from tests.fleet.services import TRAINABLE

RUN = "run-1"
StageBody = Callable[[RunContext, Path], None]


@pytest.fixture
def settings(tmp_path: Path, store: Store) -> Settings:
    return Settings(home=tmp_path / "home", bucket=store.url)


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, StageBody], None]:
    """Replace a stage's function, where the registry looks for it."""

    def put(stage: str, body: StageBody) -> None:
        module = ModuleType(f"cortex.stages.{stage}")
        module.run = body  # pyright: ignore[reportAttributeAccessIssue]
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return put


Become = Callable[[str, StageBody], None]


def write(context: RunContext, output: Path) -> None:
    context.progress(1, 2, {"loss": 0.5})
    (output / "examples").write_text("one\n")


def fail(error: BaseException) -> StageBody:
    def body(context: RunContext, output: Path) -> None:
        (output / "half").write_text("written")
        raise error

    return body


def published(store: Store, stage: str = "data") -> bool:
    return find(store, artifact_prefix(RUN, stage)) is not None


def test_a_stage_is_published_once_and_then_skipped(
    profile: Profile, store: Store, settings: Settings, become: Become
) -> None:
    become("data", write)
    assert run_stage("data", RUN, profile, store, settings)
    folder = store.local_path(artifact_prefix(RUN, "data"))
    assert folder is not None and verify(folder).ok
    manifest = find(store, artifact_prefix(RUN, "data"))
    assert manifest is not None
    assert (manifest.kind, manifest.profile, manifest.seeds) == ("data", profile.digest, {"profile": 0})
    events = LedgerReader(store, RUN).new_events()
    assert [event["event"] for event in events] == ["stage_started", "progress", "stage_finished"]
    assert events[-1]["manifest"] == manifest.digest

    become("data", fail(AssertionError("it ran again")))
    holder = Lease.take(store, RUN)
    assert not run_stage("data", RUN, profile, store, settings)
    holder.check()  # finding nothing to do took nothing from whoever is at work
    assert len(LedgerReader(store, RUN).new_events()) == 3
    assert not (settings.work(RUN) / "data").exists()


def test_a_stage_reads_its_inputs_verified_and_names_them_in_its_manifest(
    profile: Profile, store: Store, settings: Settings, become: Become
) -> None:
    def copy(context: RunContext, output: Path) -> None:
        (output / "labels").write_text((context.artifact("data").path / "examples").read_text())

    become("data", write)
    become("label", copy)
    run_stage("data", RUN, profile, store, settings)
    run_stage("label", RUN, profile, store, settings)
    data, label = (find(store, artifact_prefix(RUN, name)) for name in ("data", "label"))
    assert data and label and label.inputs == {"data": data.digest}

    folder = store.local_path(artifact_prefix(RUN, "label"))
    assert folder
    (folder / "labels").write_text("two\n")
    become("sft", write)
    with pytest.raises(DataError, match="labels") as raised:
        run_stage("sft", RUN, profile, store, settings)
    assert raised.value.exit_code == 65 and not published(store, "sft")


def test_a_stage_without_its_inputs_names_the_stage_to_run(
    profile: Profile, store: Store, settings: Settings, become: Become
) -> None:
    become("sft", write)
    with pytest.raises(DataError, match="sft reads what label makes, which is not there: run that stage") as raised:
        run_stage("sft", RUN, profile, store, settings)
    assert raised.value.exit_code == 65


def test_a_stage_that_the_profile_does_not_want_and_one_that_there_is_not(
    profile: Profile, store: Store, settings: Settings
) -> None:
    assert not run_stage("dpo", RUN, profile, store, settings)
    assert store.list() == []
    with pytest.raises(UsageError, match="no stage 'gpro': did you mean 'grpo'"):
        run_stage("gpro", RUN, profile, store, settings)


@pytest.mark.parametrize(
    ("error", "code"),
    [(StageError("it broke"), 1), (DataError("no rows"), 65), (PreemptedError("going"), 75), (ValueError("oh"), 1)],
)
def test_a_failed_stage_publishes_nothing_and_the_ledger_says_why(
    error: Exception, code: int, profile: Profile, store: Store, settings: Settings, become: Become
) -> None:
    become("data", fail(error))
    with pytest.raises(type(error)):
        run_stage("data", RUN, profile, store, settings)
    assert not published(store)
    last = LedgerReader(store, RUN).new_events()[-1]
    assert (last["event"], last["code"], last["reason"]) == ("stage_failed", code, f"{type(error).__name__}: {error}")
    assert stage_reports(store, RUN, ["data"])[0].state == "failed"
    become("data", write)
    assert run_stage("data", RUN, profile, store, settings)
    (report,) = stage_reports(store, RUN, ["data"])
    assert (report.state, report.attempts) == ("done", 2)


def test_a_full_disk_is_named_with_the_fix(profile: Profile, store: Store, settings: Settings, become: Become) -> None:
    become("data", fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/weights")))
    with pytest.raises(DataError, match=r"^/data/weights: No space left on device; .*free space.*run the same command"):
        run_stage("data", RUN, profile, store, settings)
    assert not published(store)
    assert LedgerReader(store, RUN).new_events()[-1]["code"] == 65


class FillingStore(FolderStore):
    """A folder on a disk that fills up."""

    full = False

    def put(self, key: str, data: bytes) -> None:
        if self.full:
            raise StoreError(f"{self.root} cannot be written: No space left on device")
        super().put(key, data)


def test_what_failed_is_told_even_when_the_ledger_cannot_take_it(
    profile: Profile, settings: Settings, become: Become
) -> None:
    store = FillingStore(Path(settings.bucket_url))

    def fill(context: RunContext, output: Path) -> None:
        store.full = True
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(output / "weights"))

    become("data", fill)
    with pytest.raises(DataError, match="weights: No space left on device; what was finished is kept"):
        run_stage("data", RUN, profile, store, settings)


def test_what_a_killed_attempt_left_is_not_published_but_its_progress_is_kept(
    profile: Profile, store: Store, settings: Settings, become: Become
) -> None:
    left = settings.work(RUN) / "data"
    (left / "output").mkdir(parents=True)
    (left / "output" / "stale").write_text("half")
    (left / "answers.jsonl").write_text("kept")

    def resume(context: RunContext, output: Path) -> None:
        (output / "examples").write_text((context.folder("data") / "answers.jsonl").read_text())

    become("data", resume)
    run_stage("data", RUN, profile, store, settings)
    folder = store.local_path(artifact_prefix(RUN, "data"))
    assert folder
    assert sorted(path.name for path in folder.iterdir()) == ["examples", "manifest.json"]
    assert (folder / "examples").read_text() == "kept"


def test_a_lease_that_was_taken_over_publishes_nothing(
    profile: Profile, store: Store, settings: Settings, become: Become
) -> None:
    def lose(context: RunContext, output: Path) -> None:
        write(context, output)
        Lease.take(store, RUN)

    become("data", lose)
    with pytest.raises(RefusedError, match="taken over") as raised:
        run_stage("data", RUN, profile, store, settings)
    assert raised.value.exit_code == 77
    assert not published(store)
    assert LedgerReader(store, RUN).new_events()[-1]["code"] == 77


SLOW = """
import sys, time
from types import ModuleType
from cortex import cli
def body(context, output):
    (output / "examples").write_text("one")
    print("at work", flush=True)
    time.sleep(30)
module = ModuleType("cortex.stages.data"); module.run = body
sys.modules["cortex.stages.data"] = module
cli.main()
"""


def test_a_second_process_at_the_same_stage_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    words = ["run", "data", "--run", RUN, "--profile", "rehearsal"]

    def start() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", SLOW, *words],
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    with start() as first:
        assert first.stdout and first.stdout.readline() == "at work\n"
        with start() as second:
            error = second.communicate(timeout=30)[1]
        assert second.returncode == 77
        assert error.startswith(f"error: data of run {RUN} is being run by another process (process {first.pid})")
        assert error.count("\n") == 1
        first.kill()
    with start() as third:
        assert third.stdout and third.stdout.readline() == "at work\n"
        third.kill()
    store = open_store(str(tmp_path / "home" / "bucket"))
    assert not published(store)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and stage_reports(store, RUN, ["data"])[0].attempts < 2:
        time.sleep(0.05)
    assert stage_reports(store, RUN, ["data"])[0].attempts == 2


def test_a_stage_that_loads_the_base_is_offline_and_names_it_among_its_inputs(
    profile: Profile, store: Store, settings: Settings, become: Become, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "0")
    base = tmp_path / "base"
    base.mkdir()
    for name, data in TRAINABLE.items():
        (base / name).write_bytes(data)
    based = Profile.model_validate(profile.model_dump() | {"model": {"base": str(base)}})
    seen: dict[str, list[str | None]] = {}

    def look(stage: str) -> StageBody:
        def body(context: RunContext, output: Path) -> None:
            seen[stage] = [os.environ.get(name) for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")]
            write(context, output)

        return body

    for stage in ("data", "label", "sft"):
        become(stage, look(stage))
        assert run_stage(stage, RUN, based, store, settings)
    assert seen == {"data": [None, "0"], "label": [None, "0"], "sft": ["1", "1"]}
    assert os.environ.get("HF_HUB_OFFLINE") is None and os.environ["TRANSFORMERS_OFFLINE"] == "0"
    made = find(store, artifact_prefix(RUN, "sft"))
    assert made and set(made.inputs) == {"label", "base"}
    data = find(store, artifact_prefix(RUN, "data"))
    assert data and not data.inputs


def test_what_was_trained_on_another_base_is_not_trained_further(
    profile: Profile, store: Store, settings: Settings, become: Become, tmp_path: Path
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    for name, data in TRAINABLE.items():
        (base / name).write_bytes(data)
    based = Profile.model_validate(profile.model_dump() | {"model": {"base": str(base)}})
    for stage in ("data", "label", "grpo"):
        become(stage, write)
        assert stage == "grpo" or run_stage(stage, RUN, based, store, settings)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "adapter_config.json").write_text("{}")
    publish(theirs, store, artifact_prefix(RUN, "sft"), kind="sft", inputs={"base": "f" * 64})
    with pytest.raises(DataError, match="what sft made was trained on another base"):
        run_stage("grpo", RUN, based, store, settings)
    assert not published(store, "grpo")


@pytest.mark.parametrize("damaged", [False, True])
def test_what_was_made_here_is_not_brought_from_the_bucket_again(
    damaged: bool, profile: Profile, proxy: Proxy, settings: Settings, become: Become
) -> None:
    """On the same machine the next stage reads what was published: verified, and fetched only where it is damaged."""
    store = open_store("s3://bucket/kit")
    asked: list[str] = []

    def listen(request: Request) -> None:
        if request.method == "GET" and request.key.endswith("/examples"):
            asked.append(request.key)

    def read(context: RunContext, output: Path) -> None:
        (output / "labels").write_text((context.artifact("data").path / "examples").read_text())

    become("data", write)
    become("label", read)
    stages = ("data", "label")
    assert run_stage("data", RUN, profile, store, settings, stages=stages)
    [kept] = inputs_folder(settings.work(RUN)).iterdir()
    if damaged:
        (kept / "examples").write_text("two\n")
    proxy.plan = listen
    assert run_stage("label", RUN, profile, store, settings, stages=stages)
    assert store.get(f"{artifact_prefix(RUN, 'label')}/labels") == b"one\n"
    assert bool(asked) is damaged


def test_what_no_later_stage_reads_here_is_not_kept(
    profile: Profile, proxy: Proxy, settings: Settings, become: Become
) -> None:
    assert proxy
    become("data", write)
    for stages in (("data",), ("data", "sft"), ("label", "data")):
        store, run = open_store("s3://bucket/kit"), f"run-{'-'.join(stages)}"
        assert run_stage("data", run, profile, store, settings, stages=stages)
        assert not inputs_folder(settings.work(run)).exists()
