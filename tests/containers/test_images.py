"""The images: the user that runs in them, their labels, and secrets that no layer may hold."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from cortex.local.containers import HARDENED, USER
from cortex.local.docker import cpu_image
from cortex.settings import CHECKOUT
from scripts.images.build import found
from scripts.images.sbom import write_sbom
from tests.containers.conftest import BUILD_OPTIONS, Images
from tests.containers.layers import entries

NAMES = ("data", "grpo", "quantize")

CACHES = re.compile(
    r"^root/\.cache/|/\.cache/|^var/cache/apt/.*\.(deb|bin)$|^var/lib/apt/lists/.*_(Packages|InRelease)|(^|/)\.git/|"
    r"^tmp/|^var/tmp/|\.deb$|^wheels/|^work/."
)
PROBE = """
import os, socket
def refused(action):
    try:
        action()
    except OSError as error:
        return error.strerror or "refused"
    raise SystemExit(f"{action} was let through")
for path in ("/x", "/opt/kit/cortex/x", "/opt/venv/x", "/work/x", "/etc/x"):
    refused(lambda: open(path, "w"))
refused(lambda: socket.create_connection(("192.0.2.1", 80), timeout=5))
refused(lambda: os.setuid(0))
refused(lambda: os.chown("/tmp", 0, 0))
open("/tmp/x", "w")
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print(os.getuid(), os.listdir("/sys/class/net"), int(status["CapBnd"], 16), int(status["NoNewPrivs"]))
"""


@pytest.fixture(scope="session")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A secret in the places where the building machine has secrets: its environment, and files of the checkout."""
    word = "canary-3f1c5a7e9b2d"
    os.environ["CORTEX_TEACHER_API_KEY"] = word
    (CHECKOUT / ".cortex").mkdir(exist_ok=True)
    planted = [CHECKOUT / "cortex" / ".env", CHECKOUT / ".cortex" / "canary", CHECKOUT / "jobs" / ".env"]
    for path in planted:
        path.write_text(word)
    yield word
    for path in planted:
        path.unlink()
    del os.environ["CORTEX_TEACHER_API_KEY"]


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(images: Images, name: str) -> None:
    configuration = images.inspect(name)["Config"]
    labels = {key.removeprefix("org.opencontainers.image."): text for key, text in configuration["Labels"].items()}
    assert labels["title"] == f"cortex-{name}"
    assert labels["licenses"] == "Apache-2.0"
    assert all(labels[key] not in ("", "0", "unknown") for key in ("version", "revision", "base.name"))
    assert configuration["User"] == f"{USER}:{USER}"


@pytest.mark.parametrize("name", NAMES)
def test_a_hardened_container_can_do_nothing_but_work(images: Images, name: str) -> None:
    words = ["run", "--rm", *HARDENED, "--memory=256m", "--entrypoint=python", images[name], "-c", PROBE]
    assert images.engine.said(*words) == f"{USER} ['lo'] 0 1"
    help_ = images.engine.said("run", "--rm", *HARDENED, "--memory=256m", images[name], "--help")
    assert "rehearse" in help_


@pytest.mark.parametrize("name", NAMES)
def test_no_layer_holds_a_secret_or_a_cache(images: Images, name: str, canary: str, tmp_path: Path) -> None:
    images.build(name)
    base = images.settings.base_image
    below = len(_layers(images, base)) if base else 1
    checked = 0
    for entry in entries(images.engine, images[name], tmp_path / "saved.tar"):
        assert canary.encode() not in entry.data, entry.name
        if entry.layer < below:
            continue
        checked += 1
        assert not CACHES.search(entry.name), entry.name
        if entry.name.startswith("opt/kit/") and entry.name.endswith(".pyc"):
            assert entry.data[:4] == importlib.util.MAGIC_NUMBER
            assert entry.data[4] & 1, f"{entry.name} holds the time at which it was compiled"
    assert checked > 1000
    assert canary not in images.engine.said("history", "--no-trunc", "--format", "{{.CreatedBy}}", images[name])


@pytest.mark.parametrize("name", NAMES)
def test_its_bill_of_materials_names_what_its_lock_brings(images: Images, name: str, tmp_path: Path) -> None:
    assert images[name]
    path = write_sbom(found(name, "cpu"), tmp_path / "bill.json")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text()) is None
    held = {component["purl"].partition("?")[0] for component in json.loads(path.read_text())["components"]}
    lock = (CHECKOUT / "images" / name / "requirements.cpu.lock").read_text()
    pinned = re.findall(r"(?m)^([a-z0-9._-]+)==(\S+) \\$", lock)
    assert len(pinned) > 30
    assert {f"pkg:pypi/{package}@{version}" for package, version in pinned} <= held
    assert any(purl.startswith("pkg:deb/debian/tini@") for purl in held)


def test_the_same_checkout_gives_the_same_layers(images: Images) -> None:
    """Every step is done again, with the earlier downloads. Only the configuration holds the time of the build."""
    first = _layers(images, images["data"])
    options = f"{BUILD_OPTIONS} --no-cache"
    again = cpu_image("data", images.settings.model_copy(update={"build_options": options}), images.log("again"))
    assert _layers(images, again) == first
    images.build("data")  # the tag is the first one's again


def test_a_change_of_the_code_makes_one_layer_anew(images: Images, tmp_path: Path) -> None:
    """The same checkout elsewhere, but for one line."""
    first = _layers(images, images["data"])
    copy = tmp_path / "checkout"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (CHECKOUT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(CHECKOUT / name, copy / name)
    with (copy / "cortex" / "runs" / "show.py").open("a") as file:
        file.write("# A change.\n")
    command = [sys.executable, "-m", "scripts.images", "build", "data", "--variant=cpu", "--lean"]
    command += [f"--options={BUILD_OPTIONS}"]
    command += [f"--base-image={images.settings.base_image}"] if images.settings.base_image else []
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)}, capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - started
    print(f"data, after a change in cortex/: built in {seconds:.1f} s")
    assert done.returncode == 0, done.stderr[-2000:]
    assert seconds < 10
    second = _layers(images, "cortex-data:cpu")
    changed = [number for number, pair in enumerate(zip(first, second, strict=True)) if pair[0] != pair[1]]
    assert len(changed) == 1, f"layers {changed} of {len(first)} were made anew"
    images.build("data")  # the tag is this checkout's again


def _layers(images: Images, image: str) -> list[str]:
    return json.loads(images.engine.said("image", "inspect", "--format", "{{json .RootFS.Layers}}", image))
