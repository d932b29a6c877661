"""Publication by the hub's real client, against a stand-in for the hub, with faults, kills and refusals."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from cortex.artifacts.artifact import Artifact, publish
from cortex.artifacts.folder_store import FolderStore
from cortex.artifacts.patience import Patience
from cortex.artifacts.store import Store
from cortex.bases.hub import HubSilentError
from cortex.cli import app
from cortex.errors import ConfigError, CortexError, DataError, RefusedError, UsageError, VerificationError
from cortex.fleet.home.download import download
from cortex.fleet.publish.hub_client import connect
from cortex.fleet.publish.hub_sending import publish_release
from cortex.fleet.publish.publication import Order, Publication, plan_publication
from cortex.profiles.profile import Profile
from cortex.runs.context import create_run
from cortex.runs.ledger import LedgerReader
from tests.artifacts.strategies import write
from tests.conftest import Cortex, environment
from tests.fleet.publish.hub_stand_in import TOKEN, Hub, Repository, hub_serving
from tests.fleet.services import Answer, Request

pytestmark = pytest.mark.integration

RUN, REPO = "r1", "ada/forecaster"
CARD = b"---\nlicense: apache-2.0\nmodel-index: []\n---\n\n# A forecaster\n"
WEIGHTS = Random(1).randbytes(10_000)
QUICK = Patience(deadline=20, first=0.01, longest=0.05)


def files(card: bytes = CARD, base: dict[str, str] | None = None) -> dict[str, bytes]:
    return {
        "README.md": card,
        "provenance.json": json.dumps({"base": base}).encode(),
        "evaluation.json": b"{}",
        "model/model.safetensors": WEIGHTS,
        "gguf/model.gguf": WEIGHTS[::-1],
        "model/config.json": b"{}",
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return FolderStore(tmp_path / "home" / "bucket")


@pytest.fixture
def hub() -> Generator[Hub]:
    with hub_serving(Hub()) as served:
        yield served


@pytest.fixture
def release(store: Store, profile: Profile, tmp_path: Path) -> Artifact:
    create_run(store, RUN, profile)
    return publish(write(tmp_path / "made", files()), store, f"runs/{RUN}/release", kind="release")


def make(store: Store, tmp_path: Path, card: bytes, base: dict[str, str] | None) -> Artifact:
    return publish(write(tmp_path / "other", files(card, base)), store, "runs/r2/release", kind="release")


def plan_of(hub: Hub, release: Artifact, order: Order | None = None) -> Publication:
    api = connect({"HF_TOKEN": TOKEN, "HF_ENDPOINT": hub.url})
    return plan_publication(api, release.path, release.manifest, order or Order(REPO))


def send(hub: Hub, release: Artifact, order: Order | None = None, *, read_back: bool = False) -> str:
    api = connect({"HF_TOKEN": TOKEN, "HF_ENDPOINT": hub.url})
    return publish_release(api, plan_of(hub, release, order), read_back=read_back, patience=QUICK)


def require_whole(hub: Hub, release: Artifact) -> None:
    held = hub.repositories[REPO].files
    assert {name: data for name, (data, _) in held.items() if name != ".gitattributes"} == {
        **{entry.name: (release.path / entry.name).read_bytes() for entry in release.manifest.files},
        "manifest.json": release.manifest.data,
    }


class Fails:
    """Answers with a status to the n-th requests whose path holds a word."""

    def __init__(self, word: str, *, status: int = 503, first: int = 1, times: int = 1) -> None:
        self.word, self.status, self.numbers, self.seen = word, status, range(first, first + times), 0

    def __call__(self, request: Request) -> Answer | None:
        if self.word not in f"{request.method} {request.path}":
            return None
        self.seen += 1
        return (self.status, {}, b"") if self.seen in self.numbers else None


def test_a_release_arrives_whole_with_its_card_and_manifest_last(hub: Hub, release: Artifact, tmp_path: Path) -> None:
    commit = send(hub, release, read_back=True)
    require_whole(hub, release)
    repository, here = hub.repositories[REPO], tmp_path / "here"
    write(here, {name: data for name, (data, _) in repository.files.items()})
    assert (
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=here, check=False).returncode
        == 0
    )
    assert commit == repository.sha and repository.private and repository.files["gguf/model.gguf"][1]
    assert set(repository.commits[-1]) == {"README.md", "manifest.json"} and len(repository.commits) == 3
    before = len(hub.sent)
    send(hub, release)
    assert len(repository.commits) == 3 and len(hub.sent) == before, "what is there is not sent again"


@pytest.mark.parametrize("visibility", ["gated", "public"])
def test_it_is_private_until_it_was_verified(hub: Hub, release: Artifact, visibility: str) -> None:
    send(hub, release, Order(REPO, visibility))  # pyright: ignore[reportArgumentType]
    assert hub.visible == [(REPO, True), (REPO, True)]
    repository = hub.repositories[REPO]
    assert not repository.private and repository.gated == ("manual" if visibility == "gated" else False)
    with pytest.raises(RefusedError, match=f"{REPO} is public"):
        plan_of(hub, release, Order(REPO))


@pytest.mark.parametrize(
    "fault", [Fails("/storage/"), Fails("/commit/"), Fails("/commit/", first=2), Fails("/tree/", first=3)]
)
def test_a_hub_in_trouble_is_asked_again(hub: Hub, release: Artifact, fault: Fails) -> None:
    plan = plan_of(hub, release)
    hub.on = fault
    api = connect({"HF_TOKEN": TOKEN, "HF_ENDPOINT": hub.url})
    publish_release(api, plan, patience=QUICK)
    assert fault.seen > fault.numbers.start
    require_whole(hub, release)


def test_a_commit_whose_answer_is_lost_is_not_made_twice(hub: Hub, release: Artifact) -> None:
    lost = []

    def lose(request: Request) -> Answer | None:
        if "/commit/" in request.path and not lost:
            lost.append(request.path)
            hub.commit(request, REPO, "main")
            return 502, {}, b""
        return None

    hub.on = lose
    send(hub, release)
    require_whole(hub, release)
    assert lost and len(hub.repositories[REPO].commits) == 3


def test_a_hub_that_stays_silent_ends_it_and_the_next_call_goes_on(hub: Hub, release: Artifact) -> None:
    plan = plan_of(hub, release)
    hub.on = Fails("/commit/", times=10_000)
    api = connect({"HF_TOKEN": TOKEN, "HF_ENDPOINT": hub.url})
    with pytest.raises(HubSilentError, match="the hub answers 503: run the same command again"):
        publish_release(api, plan, patience=Patience(deadline=0.3, first=0.01))
    assert "manifest.json" not in hub.repositories[REPO].files
    hub.on = lambda request: None
    before = list(hub.sent)
    send(hub, release)
    require_whole(hub, release)
    assert hub.sent == before, "files that no commit names yet are known all the same"


def test_bytes_that_are_damaged_on_their_way_are_never_called_published(hub: Hub, release: Artifact) -> None:
    oid = hashlib.sha256(WEIGHTS).hexdigest()

    def damage(request: Request) -> Answer | None:
        if "/commit/" in request.path:
            hub.objects[oid] = b"x" + WEIGHTS[1:]
        return None

    hub.on = damage
    with pytest.raises(VerificationError, match=r"reports other hashes .*model/model.safetensors"):
        send(hub, release)
    assert not {"manifest.json", "README.md"} & hub.repositories[REPO].files.keys()


def test_bytes_that_a_hub_reports_right_and_gives_wrong_are_found_by_reading_them(hub: Hub, release: Artifact) -> None:
    hub.on = lambda request: (200, {}, b"x" + WEIGHTS[1:]) if "/resolve/" in request.path else None
    with pytest.raises(VerificationError, match="gives other bytes than were sent"):
        send(hub, release, read_back=True)
    assert "manifest.json" not in hub.repositories[REPO].files


@pytest.mark.parametrize(
    ("word", "status", "kind", "said"),
    [
        ("/api/repos/create", 403, RefusedError, "answers 403"),
        ("/commit/", 403, RefusedError, "may not write there"),
        ("/storage/", 403, RefusedError, "answers 403"),
        ("/preupload/", 401, ConfigError, "does not accept HF_TOKEN"),
        ("/objects/batch", 400, DataError, "answers 400"),
    ],
)
def test_a_refusal_is_one_sentence(
    hub: Hub, release: Artifact, word: str, status: int, kind: type[CortexError], said: str
) -> None:
    hub.on = Fails(word, status=status, times=10_000)
    with pytest.raises(kind, match=said) as refusal:
        send(hub, release)
    assert "\n" not in str(refusal.value)
    assert REPO not in hub.repositories or "manifest.json" not in hub.repositories[REPO].files


def test_rights_are_asked_for_before_anything_is_written(hub: Hub, release: Artifact) -> None:
    with pytest.raises(RefusedError, match="may write to ada, and not to acme"):
        plan_of(hub, release, Order("acme/forecaster"))
    hub.role = "read"
    with pytest.raises(RefusedError, match="may only read"):
        plan_of(hub, release)
    for wrong, said in (({}, "HF_TOKEN is not set"), ({"HF_ENDPOINT": "http://hub.example"}, "is plain HTTP")):
        with pytest.raises(ConfigError, match=said):
            connect({**wrong, **({"HF_TOKEN": TOKEN} if wrong else {})})
    assert not [one for one in hub.requests if not one.startswith("GET")]


def test_other_content_is_refused_and_replaced_where_that_is_asked_for(hub: Hub, release: Artifact) -> None:
    old = {"README.md": (b"old", False), "manifest.json": (b"{}", False), "old.bin": (b"o" * 2000, True)}
    hub.repositories[REPO] = Repository(private=True, files=dict(old), commits=[["old"]])
    with pytest.raises(RefusedError, match=r"holds something else .*README.md, manifest.json, old.bin"):
        plan_of(hub, release)
    send(hub, release, Order(REPO, replace=True))
    require_whole(hub, release)
    first, *_, last = hub.repositories[REPO].commits[1:]
    assert set(first) == set(old), "while files come, no old manifest speaks for them"
    assert set(last) == {"README.md", "manifest.json"}


def test_the_licence_of_the_base_decides(hub: Hub, store: Store, tmp_path: Path) -> None:
    base = {"name": "meta-llama/Llama-3.1-8B-Instruct", "revision": "main"}
    bare = make(store, tmp_path, CARD, base)
    with pytest.raises(RefusedError, match="states no licence of the base meta-llama"):
        plan_of(hub, bare)
    text = {"LICENSE": (b"LLAMA 3.1 COMMUNITY LICENSE AGREEMENT", False)}
    hub.repositories[base["name"]] = Repository(private=False, licence="llama3.1", files=text)
    with pytest.raises(ConfigError, match=r"states llama3.1 for the base .* the release's card says apache-2.0"):
        plan_of(hub, bare)
    card = (
        "---\nlicense: llama3.1\n---\n\nBuilt with Llama\n\nLlama 3.1 is licensed under the Llama 3.1 Community "
        "License, Copyright © Meta Platforms, Inc. All Rights Reserved.\n"
    )
    tuned = publish(write(tmp_path / "tuned", files(card.encode(), base)), store, "runs/r3/release", kind="release")
    with pytest.raises(ConfigError, match="asks that the name begin with Llama: name it Llama-forecaster"):
        plan_of(hub, tuned)
    send(hub, tuned, Order("ada/Llama-forecaster"))
    assert hub.repositories["ada/Llama-forecaster"].files["LICENSE"] == text["LICENSE"]


def test_a_kill_at_any_point_leaves_no_release_or_a_whole_one_with_a_receipt(
    hub: Hub, cortex: Cortex, release: Artifact, store: Store, tmp_path: Path
) -> None:
    download(RUN, store, tmp_path / "home")
    words = ("publish", RUN, "--to", REPO, "--yes", "--visibility", "gated")
    at = {"HF_TOKEN": TOKEN, "HF_ENDPOINT": hub.url}
    for word in ("/storage/", "POST /api/models/ada/forecaster/commit"):
        program = subprocess.Popen(
            [sys.executable, "-m", "cortex", *words], env=environment(tmp_path) | at, stdout=subprocess.DEVNULL
        )
        reached = threading.Event()

        def kill(
            request: Request,
            program: "subprocess.Popen[bytes]" = program,
            word: str = word,
            reached: threading.Event = reached,
        ) -> Answer | None:
            if word in f"{request.method} {request.path}" and not reached.is_set():
                os.kill(program.pid, signal.SIGKILL)
                reached.set()
            return None

        hub.on = kill
        assert program.wait(30) == -signal.SIGKILL and reached.is_set()
        assert "manifest.json" not in hub.repositories[REPO].files and hub.repositories[REPO].private
    hub.on = lambda request: None
    done = cortex(*words, **at)
    assert done.returncode == 0 and f"{hub.url}/{REPO}: published, gated" in done.stdout, done.stderr
    require_whole(hub, release)
    (entry,) = [event for event in LedgerReader(store, RUN).new_events() if event["event"] == "published"]
    assert entry["commit"] == hub.repositories[REPO].sha and entry["manifest"] == release.digest


def test_the_verb_shows_its_plan_and_asks(
    hub: Hub, release: Artifact, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"CORTEX_HOME": str(tmp_path / "home"), "HF_TOKEN": TOKEN, "HF_ENDPOINT": hub.url}.items():
        monkeypatch.setenv(name, value)
    words = ["publish", RUN, "--to", REPO]
    unasked = CliRunner().invoke(app, words)
    assert isinstance(unasked.exception, RefusedError) and "add --yes" in str(unasked.exception)
    away = CliRunner().invoke(app, [*words, "--dry-run"])
    assert isinstance(away.exception, UsageError) and "cortex download r1" in str(away.exception)
    download(RUN, store, tmp_path / "home")
    done = CliRunner().invoke(app, [*words, "--dry-run"])
    count, size = len(release.manifest.files) + 1, release.manifest.size + len(release.manifest.data)
    assert (
        done.exit_code == 0
        and f"to send  {count} files, {size:,} bytes" in done.stdout
        and REPO not in hub.repositories
    )
    assert not [one for one in hub.requests if not one.startswith("GET")]
    (tmp_path / "home/releases" / RUN / "model/config.json").write_bytes(b"[]")
    damaged = CliRunner().invoke(app, [*words, "--dry-run"])
    assert isinstance(damaged.exception, RefusedError) and "damaged" in str(damaged.exception)
