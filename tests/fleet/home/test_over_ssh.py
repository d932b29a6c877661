import fcntl
import json
import multiprocessing
import os
import re
import resource
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from loguru import logger

from cortex.artifacts.artifact import Artifact
from cortex.artifacts.manifest import MANIFEST
from cortex.artifacts.patience import Patience
from cortex.artifacts.receipt import Receipt
from cortex.artifacts.verify import verify
from cortex.errors import ConfigError, CortexError, DataError, RefusedError, UsageError, VerificationError
from cortex.fleet.home.box import Box, LostConnectionError
from cortex.fleet.home.over_ssh import bring, find_release
from cortex.limits import LEDGER_BYTES, TooLargeError
from cortex.runs.context import local_ledger
from tests.artifacts.faulty import free_port
from tests.conftest import Cortex
from tests.fleet.conftest import RUN
from tests.fleet.home.killable import bring_over_ssh
from tests.fleet.ssh_server import SshServer

pytestmark = pytest.mark.integration

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HURRIED = Patience(deadline=2, first=0.01, longest=0.1)

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.fleet.home.killable"])


def fetch(server: SshServer, home: Path, told: Callable[[int], None] = lambda _: None, **words: str) -> Receipt:
    with Box("box", server.client_config) as box:
        return bring(find_release(box, RUN, **words), home, advance=told, patience=HURRIED, now=lambda: NOW)


def slowed(server: SshServer, kilobytes: int) -> None:
    """Slow the instance's connection down to so many kilobytes a second."""
    slow = server.folder / "slow"
    slow.mkdir(exist_ok=True)
    (slow / "rsync").write_text(f'#!/bin/sh\nexec {server.programs.rsync} --bwlimit={kilobytes} "$@"\n')
    (slow / "rsync").chmod(0o755)
    server.kill()
    server.path = f"{slow}:/usr/bin:/bin"
    server.start()


def wait_until_free(part: Path) -> None:
    """Wait until nothing writes there: rsync of a killed download holds the folder for a moment longer."""
    descriptor, end = os.open(part, os.O_RDONLY), time.monotonic() + 30
    try:
        while True:
            try:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                assert time.monotonic() < end, "the killed download's rsync does not end"
                time.sleep(0.005)
    finally:
        os.close(descriptor)


def size_of(part: Path) -> int:
    return sum(path.stat().st_size for path in part.rglob("*") if path.is_file()) if part.exists() else 0


def failure(server: SshServer, kind: type[CortexError], message: str, home: Path) -> None:
    with pytest.raises(kind, match=message) as caught:
        fetch(server, home)
    assert "\n" not in str(caught.value) and Receipt.read(home, RUN) is None
    assert not (home / "releases" / RUN).exists()


def test_a_release_comes_off_a_live_instance_with_a_receipt_that_says_so(
    ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path
) -> None:
    told: list[int] = []
    receipt = fetch(ssh_server, tmp_path / "home", told.append)
    assert receipt.path == tmp_path / "home/releases" / RUN and verify(receipt.path).ok
    assert receipt.manifest == on_the_box.digest and sum(told) == on_the_box.manifest.size
    assert (receipt.via, receipt.source, receipt.verified) == ("cluster", f"ssh://box{on_the_box.path}", NOW)
    assert Receipt.read(tmp_path / "home", RUN) == receipt
    receipt.check(on_the_box.manifest)
    assert [path.name for path in receipt.path.parent.iterdir()] == [RUN]
    assert fetch(ssh_server, tmp_path / "home").path == receipt.path


def test_the_command_says_what_it_brought(
    ssh_server: SshServer, on_the_box: Artifact, cortex: Cortex, tmp_path: Path
) -> None:
    variables = {"CORTEX_SSH_CONFIG": str(ssh_server.client_config)}
    done = cortex("download", RUN, "--from-cluster", "box", "--to", tmp_path / "copy", **variables)
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path / 'copy'}: 5 files" in done.stdout and on_the_box.digest[:12] in done.stdout
    assert verify(tmp_path / "copy").ok
    assert cortex("download", RUN, "--remote-home", "/x").returncode == 2


def test_a_bucket_that_is_a_folder_there_and_a_named_home_are_looked_into(
    ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path
) -> None:
    published = ssh_server.home / "my home/bucket/runs" / RUN / "release"
    shutil.copytree(on_the_box.path, published)
    shutil.rmtree(on_the_box.path)
    (published / "model.sig").write_bytes(b"signature")
    receipt = fetch(ssh_server, tmp_path / "home", remote_home="~/my home")
    assert receipt.source.endswith("my home/bucket/runs/demo-1/release")
    assert verify(receipt.path).ok and (receipt.path / "model.sig").read_bytes() == b"signature"


def test_killed_at_random_bytes_it_goes_on(ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path) -> None:
    slowed(ssh_server, 4000)
    home, rng, kills = tmp_path / "home", Random(5), 0
    part = home / "releases" / f"{RUN}.part"
    variables = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH")}
    for byte in sorted(rng.randrange(on_the_box.manifest.size) for _ in range(8)):
        process = processes.Process(target=bring_over_ssh, args=(variables, ssh_server.client_config, RUN, home))
        process.start()
        while size_of(part) < byte and process.is_alive():
            time.sleep(0.005)
        process.kill()
        process.join()
        kills += process.exitcode == -9
        assert size_of(part) >= byte and not (home / "releases" / RUN).exists()
        wait_until_free(part)
    assert kills >= 6 and verify(fetch(ssh_server, home).path).ok


def test_a_connection_that_is_lost_half_way_is_made_again(
    ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path
) -> None:
    slowed(ssh_server, 1000)
    cuts: list[int] = []

    def cut(_: int) -> None:
        there = size_of(tmp_path / "home/releases" / f"{RUN}.part")
        if 300_000 < there < on_the_box.manifest.size and (not cuts or there > cuts[0]) and len(cuts) < 2:
            cuts.append(there)
            ssh_server.kill()
            ssh_server.start()

    receipt = fetch(ssh_server, tmp_path / "home", cut)
    assert len(cuts) == 2 and verify(receipt.path).ok and receipt.manifest == on_the_box.digest


def test_a_connection_that_stays_lost_keeps_what_came(
    ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path
) -> None:
    slowed(ssh_server, 1000)
    part = tmp_path / "home/releases" / f"{RUN}.part"

    def cut(_: int) -> None:
        if size_of(part) > 300_000:
            ssh_server.kill()

    with pytest.raises(LostConnectionError, match=r"box does not answer any more .*the same command continues"):
        fetch(ssh_server, tmp_path / "home", cut)
    ssh_server.path = ""
    assert 300_000 < size_of(part) < on_the_box.manifest.size and Receipt.read(tmp_path / "home", RUN) is None
    ssh_server.start()
    assert fetch(ssh_server, tmp_path / "home").manifest == on_the_box.digest


@pytest.mark.parametrize("damage", ["flip", "cut", "link"])
def test_a_copy_that_is_damaged_there_is_never_published(
    ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path, damage: str
) -> None:
    weights = on_the_box.path / "model/weights"
    right = weights.read_bytes()
    if damage == "flip":
        weights.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    elif damage == "cut":
        weights.write_bytes(right[:-1])
    else:
        weights.unlink()
        weights.symlink_to("/etc/passwd")
    failure(ssh_server, VerificationError, "model/weights is damaged or gone", tmp_path / "home")
    weights.unlink(missing_ok=True)
    weights.write_bytes(right)
    assert fetch(ssh_server, tmp_path / "home").manifest == on_the_box.digest


@pytest.mark.parametrize("left", [bytes(5000), b"x" * 3_000_000, b"x" * 3_000_001], ids=["head", "whole", "longer"])
def test_wrong_bytes_left_by_an_earlier_download_are_replaced(
    ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path, left: bytes
) -> None:
    part = tmp_path / "home/releases" / f"{RUN}.part"
    (part / "model").mkdir(parents=True)
    (part / "model/weights").write_bytes(left)
    (tmp_path / "outside").mkdir()
    (part / "a b").symlink_to(tmp_path / "outside")
    told: list[int] = []
    receipt = fetch(ssh_server, tmp_path / "home", told.append)
    assert verify(receipt.path).ok and list((tmp_path / "outside").iterdir()) == []
    assert sum(told) == on_the_box.manifest.size


def test_a_hostile_manifest_is_refused_before_anything_is_written(
    ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path
) -> None:
    said = json.loads(on_the_box.manifest.data)
    for name in ("../x", "/etc/x", "a\nb", "model/weights", "x" * 300):
        said["files"][0]["name"] = name
        (on_the_box.path / MANIFEST).write_text(json.dumps(said, sort_keys=True, separators=(",", ":")) + "\n")
        failure(ssh_server, VerificationError, "is not a manifest: files", tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_a_release_that_is_not_there_or_not_whole(ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path) -> None:
    (on_the_box.path / MANIFEST).unlink()
    failure(ssh_server, DataError, f"run {RUN} has no complete release on box yet", tmp_path / "home")
    shutil.rmtree(on_the_box.path.parents[1])
    failure(ssh_server, DataError, rf"run {RUN} is not on box, in .*\.cortex: ", tmp_path / "home")
    shutil.rmtree(ssh_server.home / "sky_workdir")
    failure(ssh_server, DataError, "--remote-home", tmp_path / "home")


def test_rsync_is_asked_for_where_it_is_missing(
    ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("sh", "cat"):
        (bare / name).symlink_to(f"/bin/{name}")
    ssh_server.kill()
    ssh_server.path = str(bare)
    ssh_server.start()
    failure(ssh_server, ConfigError, "rsync is not installed on box: ssh box .*apt-get install", tmp_path / "home")
    (bare / "ssh").symlink_to(shutil.which("ssh") or "")
    monkeypatch.setenv("PATH", str(bare))
    failure(ssh_server, ConfigError, "rsync is not installed here: install it", tmp_path / "home")
    assert on_the_box.digest


def test_who_is_not_let_in_reads_why(ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path) -> None:
    ssh_server.configure(key="stranger")
    failure(ssh_server, ConfigError, "box does not let .* in .*`ssh box` must work", tmp_path / "home")
    ssh_server.configure(checking="yes")
    failure(ssh_server, ConfigError, "box is not known yet: log in once", tmp_path / "home")
    ssh_server.configure()
    fetch(ssh_server, tmp_path / "first")
    ssh_server.kill()
    ssh_server.start("other-host")
    failure(ssh_server, RefusedError, r"another key than it used to.*ssh-keygen -R '\[127", tmp_path / "home")
    ssh_server.configure(port=free_port())
    failure(ssh_server, LostConnectionError, "box does not answer", tmp_path / "home")
    assert on_the_box.digest


def test_a_name_that_is_no_host(ssh_server: SshServer, on_the_box: Artifact) -> None:
    for name in ("-oProxyCommand=x", "a b", ""):
        with pytest.raises(UsageError, match="no host's name"):
            Box(name)
    with Box("nowhere.invalid", ssh_server.client_config) as box, pytest.raises(ConfigError, match="no host 'nowhere"):
        find_release(box, RUN)
    with Box("box", ssh_server.client_config) as box, pytest.raises(UsageError, match="run id"):
        find_release(box, "../x")
    assert on_the_box.digest


def test_a_machine_that_is_another_one_half_way_is_not_asked_again(
    ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path
) -> None:
    fetch(ssh_server, tmp_path / "known")
    slowed(ssh_server, 1000)

    def replace(_: int) -> None:
        if size_of(tmp_path / "home/releases" / f"{RUN}.part") > 300_000:
            ssh_server.kill()
            ssh_server.start("other-host")

    with pytest.raises(RefusedError, match=r"does not let rsync in \(Host key verification failed"):
        fetch(ssh_server, tmp_path / "home", replace)
    assert Receipt.read(tmp_path / "home", RUN) is None and on_the_box.digest


def test_a_disk_that_fills_up_keeps_what_is_there(ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        failure(ssh_server, ConfigError, r"demo-1\.part cannot be written \(rsync.*make room", tmp_path / "home")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert size_of(tmp_path / "home/releases" / f"{RUN}.part") >= 900_000
    assert fetch(ssh_server, tmp_path / "home").manifest == on_the_box.digest


def test_a_second_download_into_one_folder_is_refused(
    ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path
) -> None:
    refused: list[RefusedError] = []

    def second(_: int) -> None:
        if not refused:
            with pytest.raises(RefusedError, match="another download") as caught:
                fetch(ssh_server, tmp_path / "home")
            refused.append(caught.value)

    receipt = fetch(ssh_server, tmp_path / "home", second)
    assert refused and verify(receipt.path).ok and on_the_box.digest


def instead_of_rsync(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch, version: str = "3.2.7") -> None:
    """Have another program in rsync's place fill the part folder, `$to`, as a hostile other end could."""
    folder.mkdir(exist_ok=True)
    said = f"rsync  version {version}  protocol version 31"
    (folder / "rsync").write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "{said}" && exit\nfor to; do :; done\ncd "$to"\n{script}\n'
    )
    (folder / "rsync").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("mkdir -p model; head -c 9000000 /dev/zero > model/weights", r"weights came with more than its 3,000,000"),
        ("printf '%s\\n' '  99,999,999  50%'; sleep 30", r"99,999,999 bytes came, of the 3,000,309"),
    ],
)
def test_more_bytes_than_the_manifest_states_are_not_taken(
    ssh_server: SshServer,
    on_the_box: Artifact,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    message: str,
) -> None:
    instead_of_rsync(tmp_path / "bin", script, monkeypatch)
    failure(ssh_server, VerificationError, message, tmp_path / "home")
    assert size_of(tmp_path / "home/releases" / f"{RUN}.part") < 3_001_000 and on_the_box.digest


@pytest.mark.parametrize(
    "script",
    ["echo x > extra.py", "ln -s /etc/passwd link", "mkfifo pipe", "mkdir d; echo x > d/y"],
)
def test_what_was_not_asked_for_is_found_before_the_folder_appears(
    ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    instead_of_rsync(tmp_path / "bin", f"cp -r {on_the_box.path}/. .; rm manifest.json; {script}", monkeypatch)
    failure(ssh_server, VerificationError, "which its manifest does not list", tmp_path / "home")


def test_permissions_that_no_file_should_have_are_taken_off(
    ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"cp -r {on_the_box.path}/. .; chmod 6777 card.md; echo {{}} > model.sig; ln -s /etc/x manifest.json.part"
    instead_of_rsync(tmp_path / "bin", script, monkeypatch)
    copy = fetch(ssh_server, tmp_path / "home").path
    assert (copy / "card.md").stat().st_mode & 0o7777 == 0o755
    assert verify(copy).ok and sorted(path.name for path in copy.glob("m*")) == ["manifest.json", "model"]


@pytest.mark.parametrize("version", ["3.2.4", "2.6.9", "v3.1.3"])
def test_an_rsync_that_takes_what_nobody_asked_for_is_not_used(
    ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    instead_of_rsync(tmp_path / "bin", "exit 1", monkeypatch, version)
    failure(ssh_server, ConfigError, r"install rsync 3\.2\.5 or newer", tmp_path / "home")
    assert on_the_box.digest


def test_an_instance_that_answers_without_end_is_not_heard_to_its_end(ssh_server: SshServer) -> None:
    with Box("box", ssh_server.client_config) as box:
        assert box.ask("printf hello") == b"hello" and box.ask("yes | head -c 100000") == b"y\n" * 50_000
        with pytest.raises(TooLargeError, match="more than the 1,048,576 bytes"):
            box.ask("yes")
        (ssh_server.home / "large").write_bytes(bytes(101))
        assert box.read(str(ssh_server.home / "large"), 101) == bytes(101)
        with pytest.raises(TooLargeError, match="more than the 100 bytes"):
            box.read(str(ssh_server.home / "large"), 100)


def tell_of_outage(release: Artifact, data: bytes) -> list[str]:
    """Write an instance's own ledger; later warnings go to the returned list."""
    warnings: list[str] = []
    logger.add(warnings.append, level="WARNING", format="{message}")
    local_ledger(release.path.parent).write_bytes(data)
    return warnings


@pytest.mark.parametrize("since", [-62_135_596_800, 0, 253_402_300_799])
@pytest.mark.parametrize("before", [0, 2 * LEDGER_BYTES])
def test_an_instance_says_since_when_its_bucket_is_gone(
    ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path, since: int, before: int
) -> None:
    told = {"event": "bucket_unreachable", "epoch": 1, "time": 1, "since": since, "reason": "it \x1b[2J is full"}
    data = b" " * before + b"\n" + json.dumps(told).encode() + b'\n{"event": "bucket_ans'
    warnings = tell_of_outage(on_the_box, data)
    assert fetch(ssh_server, tmp_path / "home").manifest == on_the_box.digest
    assert len(warnings) == 1 and re.search(r"cannot reach its bucket since \d+-\d\d-\d\d .*is full", warnings[0])


@pytest.mark.parametrize(
    "told",
    [
        *({"since": since} for since in ("now", None, True, [], {}, float("nan"), 1e300, 10**400, -62_135_596_801)),
        *({"since": 1, "reason": reason} for reason in (None, 1, ["x"], {}, "x" * 10_001)),
        {"since": 1, "time": 10**400},
    ],
)
def test_an_outage_told_in_odd_words_does_not_keep_a_release_back(
    ssh_server: SshServer, on_the_box: Artifact, tmp_path: Path, told: dict[str, Any]
) -> None:
    data = json.dumps({"event": "bucket_unreachable", "epoch": 1, "time": 1, "reason": "x"} | told).encode()
    warnings = tell_of_outage(on_the_box, data + b"\n")
    assert fetch(ssh_server, tmp_path / "home").manifest == on_the_box.digest
    assert warnings == []
