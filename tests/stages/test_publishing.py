"""Stages that end while their bucket cannot be reached: a real server is killed, and comes back or does not."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from loguru import logger

from cortex.artifacts.artifact import find, publish
from cortex.artifacts.lease import Lease
from cortex.artifacts.patience import Patience
from cortex.artifacts.receipt import Receipt
from cortex.artifacts.remote_store import RemoteStore
from cortex.artifacts.store import StoreError
from cortex.artifacts.verify import verify
from cortex.errors import RefusedError
from cortex.fleet.home.box import Box
from cortex.fleet.home.over_ssh import bring, find_release
from cortex.profiles.profile import Profile
from cortex.runs.context import RunContext, artifact_prefix, local_ledger, output_folder
from cortex.runs.ledger import LedgerReader
from cortex.runs.stage_list import find_stage
from cortex.settings import Settings
from cortex.stages import publishing, runner
from cortex.stages.runner import run_stage
from tests.artifacts.faulty import BUCKET, Fault, Proxy, Server
from tests.artifacts.strategies import write
from tests.fleet.ssh_server import SshServer

pytestmark = pytest.mark.integration

RUN = "run-1"
OUTAGE = 2.0
"""Seconds for which the bucket cannot be reached."""

Ends = Callable[[str, Callable[[], None]], None]


@pytest.fixture
def bucket(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> RemoteStore:
    """A run's bucket, and stages that report an outage before a test is over."""
    assert proxy
    monkeypatch.setattr(publishing, "TOLD_AFTER", 0.5)
    monkeypatch.setattr(publishing, "TOLD_EVERY", 1.0)
    monkeypatch.setattr(runner, "LAST_WORD", Patience(deadline=0.2))
    return RemoteStore(f"s3://{BUCKET}/kit", Patience(deadline=8, first=0.01, longest=0.1))


@pytest.fixture
def settings(tmp_path: Path, bucket: RemoteStore) -> Settings:
    return Settings(home=tmp_path / "home", bucket=bucket.url)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch, bucket: RemoteStore, profile: Profile, tmp_path: Path) -> Ends:
    """Make a stage one that writes two files, and then calls a function; its inputs are there."""

    def become(stage: str, happen: Callable[[], None]) -> None:
        def run(context: RunContext, output: Path) -> None:
            write(output, {"weights": b"w" * 200_000, "card.md": b"# card"})
            happen()

        module = ModuleType(f"cortex.stages.{stage}")
        module.run = run  # pyright: ignore[reportAttributeAccessIssue]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        for name in find_stage(stage).inputs(profile):
            publish(write(tmp_path / name, {"x": name.encode()}), bucket, artifact_prefix(RUN, name), kind=name)

    return become


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    heard: list[str] = []
    handler = logger.add(lambda message: heard.append(str(message)), level="WARNING", format="{message}")
    yield heard
    logger.remove(handler)


def later(happen: Callable[[], None]) -> None:
    threading.Timer(OUTAGE, happen).start()


def events_of(settings: Settings) -> list[dict[str, object]]:
    path = local_ledger(settings.work(RUN) / "release")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_release_outlasts_an_outage_and_the_ledger_tells_how_long_it_was(
    ends: Ends, server: Server, bucket: RemoteStore, profile: Profile, settings: Settings, warnings: list[str]
) -> None:
    output = output_folder(settings.work(RUN), "release")
    meanwhile: list[object] = []

    def back() -> None:
        try:
            meanwhile.extend([verify(output).manifest.digest, events_of(settings)])
        finally:
            server.start()  # or the release waits without end

    def away() -> None:
        server.kill()
        later(back)

    ends("release", away)
    assert run_stage("release", RUN, profile, bucket, settings)
    published = find(bucket, artifact_prefix(RUN, "release"))
    assert published and verify(output).ok
    sealed, there = meanwhile
    assert sealed == published.digest == verify(output).manifest.digest
    assert isinstance(there, list) and [event["event"] for event in there] == ["bucket_unreachable"]

    told = {event["event"]: event for event in LedgerReader(bucket, RUN).new_events()}
    assert list(told) == ["stage_started", "bucket_unreachable", "bucket_answers", "stage_finished"]
    seconds = told["bucket_answers"]["seconds"]
    assert OUTAGE - 0.5 < seconds < OUTAGE + 20 and told["stage_finished"]["manifest"] == published.digest
    assert abs(told["bucket_unreachable"]["since"] - told["stage_started"]["time"]) < OUTAGE
    assert events_of(settings) == list(told.values())[1:]

    lasting = [line for line in warnings if "has not taken the release" in line]
    assert 1 <= len(lasting) <= seconds + 1 and "--from-cluster" in lasting[0] and str(output) in lasting[0]
    assert any("answers again after 00:00:0" in line for line in warnings) and len(warnings) == len(lasting) + 1


def test_its_machine_gives_it_over_ssh_while_the_bucket_is_away_and_after(
    ends: Ends,
    server: Server,
    bucket: RemoteStore,
    profile: Profile,
    ssh_server: SshServer,
    tmp_path: Path,
    warnings: list[str],
) -> None:
    there = Settings(home=ssh_server.home / "sky_workdir/.cortex", bucket=bucket.url)
    receipts: list[Receipt] = []

    def take(home: str) -> None:
        with Box("box", ssh_server.client_config) as box:
            receipts.append(bring(find_release(box, RUN), tmp_path / home))

    def back() -> None:
        try:
            take("first")
        finally:
            server.start()

    def away() -> None:
        server.kill()
        later(back)

    ends("release", away)
    assert run_stage("release", RUN, profile, bucket, there)
    assert len(receipts) == 1 and any("box cannot reach its bucket since" in line for line in warnings)
    warnings.clear()
    take("second")
    published = find(bucket, artifact_prefix(RUN, "release"))
    assert published and [receipt.manifest for receipt in receipts] == [published.digest] * 2 and warnings == []
    receipts[0].check(published)


MENDABLE = {
    "no permission": ("/weights", Fault("status", status=403, code="AccessDenied")),
    "spoilt bytes": ("/weights", Fault("corrupt upload")),
    "no bucket": ("", Fault("status", status=404, code="NoSuchBucket")),
}


@pytest.mark.parametrize(("key", "fault"), MENDABLE.values(), ids=MENDABLE)
def test_a_release_waits_for_what_somebody_can_mend(
    ends: Ends, proxy: Proxy, bucket: RemoteStore, profile: Profile, settings: Settings, key: str, fault: Fault
) -> None:
    def mend() -> None:
        proxy.plan = lambda _: None

    def spoil() -> None:
        proxy.plan = lambda request: fault if request.key.endswith(key) else None
        later(mend)

    ends("release", spoil)
    assert run_stage("release", RUN, profile, bucket, settings)
    assert proxy.faults and find(bucket, artifact_prefix(RUN, "release"))


def test_another_stage_holds_out_long_and_then_fails(
    ends: Ends,
    server: Server,
    bucket: RemoteStore,
    profile: Profile,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publishing, "HOLD_OUT", OUTAGE)
    ends("data", server.kill)
    start = time.monotonic()
    with pytest.raises(StoreError, match="kit/runs/run-1"):
        run_stage("data", RUN, profile, bucket, settings)
    assert OUTAGE / 2 < time.monotonic() - start < OUTAGE + 20
    server.start()
    ends("data", lambda: None)
    assert run_stage("data", RUN, profile, bucket, settings) and not (settings.work(RUN) / "data").exists()


def test_ctrl_c_ends_the_waiting_and_what_was_made_is_kept(
    ends: Ends, server: Server, bucket: RemoteStore, profile: Profile, settings: Settings
) -> None:
    def away() -> None:
        server.kill()
        later(lambda: os.kill(os.getpid(), signal.SIGINT))

    ends("release", away)
    before = signal.getsignal(signal.SIGINT)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_stage("release", RUN, profile, bucket, settings)
    assert time.monotonic() - start < OUTAGE + 20 and signal.getsignal(signal.SIGINT) == before
    assert verify(output_folder(settings.work(RUN), "release")).ok
    assert [event["event"] for event in events_of(settings)] == ["bucket_unreachable", "stage_failed"]
    server.start()
    ends("release", lambda: None)
    assert run_stage("release", RUN, profile, bucket, settings)


def test_a_run_that_was_taken_over_meanwhile_is_not_waited_for(
    ends: Ends, proxy: Proxy, bucket: RemoteStore, profile: Profile, settings: Settings
) -> None:
    def lose() -> None:
        Lease.take(bucket, RUN)
        proxy.plan = lambda request: Fault("status") if request.number % 2 else None

    ends("release", lose)
    with pytest.raises(RefusedError, match="taken over"):
        run_stage("release", RUN, profile, bucket, settings)
    proxy.plan = lambda _: None
    assert find(bucket, artifact_prefix(RUN, "release")) is None
