"""The engine that tests start: real, and gone afterwards without a trace."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from cortex.errors import ConfigError
from tests.containers.base import NAME, base_image
from tests.containers.engine import check_machine, default_place, raised
from tests.testbed.footprint import processes


def test_it_goes_without_a_trace_even_with_a_container_under_way() -> None:
    try:
        check_machine()
    except ConfigError as error:
        pytest.skip(f"expected: {error}")
    usual = default_place()
    place = usual.with_name("engine-tests")
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    before = _traces(place)
    with raised(place) as engine:
        base_image(engine, usual)
        hidden = ["--network=none", "--memory=64m"]
        container = engine.said("run", "--detach", *hidden, NAME, "sleep", "1000")
        assert _within(container, "/proc/*/cgroup"), "the container's process is not where it could be looked for"
        assert engine.said("ps", "--quiet", "--no-trunc") == container
    deadline = time.monotonic() + 30
    while (left := processes(place)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left
    assert _traces(place) == before
    assert not _within(container, "/proc/*/cgroup")
    assert not (place / "data").exists()
    shutil.rmtree(place)


def test_it_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigError, match="needs root"):
        check_machine()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"needs: apt .*, dpkg, mount, util-linux"):
        check_machine()


def _traces(place: Path) -> dict[str, object]:
    """Traces that an engine could leave on its host, and that other tests running meanwhile cannot."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    network = subprocess.run(["ip", "-oneline", "link"], capture_output=True, text=True, check=True).stdout
    return {
        "mounts": [line for line in mounts if str(place) in line or "containerd" in line],
        "links": [line for line in network.splitlines() if line.split()[1].startswith(("docker", "br-", "veth"))],
        "state": sorted(
            str(path)
            for top in ("docker", "containerd", "engine")
            for pattern in (f"{top}*", f"{top}*/*")
            for path in Path("/run").glob(pattern)
        ),
        "control groups": sorted(str(path) for path in Path("/sys/fs/cgroup").glob("*/cortex-*")),
        "temporary": sorted(path.name for path in Path("/tmp").glob("cortex-engine-*")),
        "configuration": Path("/etc/docker").exists(),
    }


def _within(container: str, pattern: str) -> bool:
    """True where any process of this machine is in a container's control group."""
    for path in Path("/").glob(pattern.removeprefix("/")):
        try:
            if container in path.read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            continue
    return False
