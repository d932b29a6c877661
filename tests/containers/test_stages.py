"""Stages in hardened containers give the same bytes as in environments, even if a container ends halfway."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cortex.artifacts.artifact import find
from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.artifacts.verify import verify
from cortex.local.containers import Container
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import artifact_prefix, create_run
from cortex.settings import Settings
from tests.containers.conftest import BUILD_OPTIONS, Images
from tests.containers.engine import Engine
from tests.rehearsal.conftest import SMALL, Home, new_home

RUN = "contained"


@pytest.fixture(scope="module")
def small(write_profile: Callable[..., Path]) -> Path:
    return write_profile("small", **SMALL)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, environments: Path, images: Images) -> Home:
    """Home of the rehearsals, whose images are built like those of the tests."""
    made = new_home(tmp_path_factory.mktemp("containers") / "home", environments)
    base = images.settings.base_image
    return replace(
        made, further={"CORTEX_BUILD_OPTIONS": BUILD_OPTIONS, **({"CORTEX_BASE_IMAGE": base} if base else {})}
    )


@pytest.fixture(scope="module")
def undisturbed(home: Home, small: Path) -> dict[str, Any]:
    """Results of the same profile in environments."""
    return home.passed("undisturbed", "--profile", small)


@pytest.fixture(scope="module")
def store(home: Home) -> Store:
    return open_store(str(home.folder / "bucket"))


@pytest.fixture(scope="module")
def begin(home: Home, store: Store, small: Path, undisturbed: dict[str, Any]) -> Callable[[str], Profile]:
    """Begin a run with the SFT artifact of the run in environments, so that the largest image is not built."""
    assert undisturbed
    runs = home.folder / "bucket" / "runs"

    def begin(run: str) -> Profile:
        profile = load_profile(str(small))
        create_run(store, run, profile)
        shutil.copytree(runs / "undisturbed" / "sft" / "artifact", runs / run / "sft" / "artifact")
        return profile

    return begin


@pytest.fixture(scope="module")
def place(home: Home, store: Store, begin: Callable[[str], Profile], images: Images) -> Callable[[str], Container]:
    """Containers for stages of the run, by their images' names."""
    profile = begin(RUN)
    return lambda name: Container(images[name], RUN, profile, store, Settings(home=home.folder))


@pytest.fixture(scope="module")
def labelled(place: Callable[[str], Container], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Data and labels, made in containers: the scripted teacher serves on the loopback of one of them."""
    for stage in ("data", "label"):
        log = tmp_path_factory.mktemp("logs") / stage
        with log.open("w") as output, place("data").running(["run", stage, "--run", RUN], output) as process:
            assert process.wait(600) == 0, log.read_text()


def digests(shown: dict[str, Any]) -> dict[str, str]:
    return {stage["name"]: stage["manifest"] for stage in shown["stages"]}


def containers(engine: Engine, run: str) -> list[str]:
    return engine.said("ps", "--all", "--quiet", "--filter", f"name=cortex-{run}-").splitlines()


def gone(engine: Engine, run: str) -> bool:
    """True once no container of a run is left; waits up to a minute."""
    deadline = time.monotonic() + 60
    while containers(engine, run) and time.monotonic() < deadline:
        time.sleep(0.2)
    return not containers(engine, run)


def test_data_and_labels_are_the_same(labelled: None, undisturbed: dict[str, Any], store: Store) -> None:
    for stage in ("data", "label"):
        made = find(store, artifact_prefix(RUN, stage))
        assert made is not None
        assert made.digest == digests(undisturbed)[stage]


def test_a_container_is_confined(
    labelled: None, place: Callable[[str], Container], docker: Engine, tmp_path: Path
) -> None:
    """The engine describes the container of a stage under way."""
    with (
        (tmp_path / "log").open("w") as output,
        place("data").running(["run", "label", "--run", RUN], output) as process,
    ):
        del process
        form = "{{.Config.User}} {{.HostConfig.NetworkMode}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} "
        form += "{{.HostConfig.SecurityOpt}} {{.HostConfig.Memory}} {{.HostConfig.Privileged}}"
        deadline = time.monotonic() + 60
        while not (found := containers(docker, RUN)):
            assert time.monotonic() < deadline
        told = docker.said("inspect", "--format", form, *found)
    user, rest = told.split(" ", 1)
    assert not user.startswith("0:")
    assert rest == f"none true [ALL] [no-new-privileges] {8 * 2**30} false"


@pytest.fixture(scope="module")
def preempted(labelled: None, home: Home, place: Callable[[str], Container], docker: Engine) -> Iterator[int]:
    """Exit code of GRPO, ended in the middle by `docker stop`."""
    runs = home.folder / "bucket" / "runs"
    log = home.folder / "preempted.log"
    with log.open("w") as output, place("grpo").running(["run", "grpo", "--run", RUN], output) as process:
        deadline = time.monotonic() + 900
        while not list((runs / RUN / "grpo" / "checkpoints").glob("*/manifest.json")):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        docker.said("stop", "--time", "120", *containers(docker, RUN))
        yield process.wait(60)


def test_sigterm_ends_training_with_75_and_a_good_checkpoint(preempted: int, store: Store, home: Home) -> None:
    assert preempted == 75
    assert find(store, artifact_prefix(RUN, "grpo")) is None
    saved = sorted((home.folder / "bucket" / "runs" / RUN / "grpo" / "checkpoints").iterdir())
    assert saved
    for checkpoint in saved:
        assert verify(checkpoint).ok


def test_the_rehearsal_goes_on_in_containers_to_the_same_bytes(
    preempted: int, undisturbed: dict[str, Any], home: Home, docker: Engine
) -> None:
    shown = home.passed(RUN, "--containers")
    assert shown["weights"] == undisturbed["weights"]
    assert digests(shown) == digests(undisturbed)
    assert "resuming from checkpoint-" in (home.folder / "work" / RUN / "logs" / "grpo.log").read_text()
    assert not containers(docker, RUN)
    assert home.cortex("verify", shown["release"]).returncode == 0


def test_no_container_outlives_a_rehearsal_that_is_killed(
    home: Home, begin: Callable[[str], Profile], docker: Engine
) -> None:
    begin("killed")
    home.kill_during("label", "killed", "--containers")
    assert gone(docker, "killed")
    assert home.show("killed")["stages"][0]["state"] == "done"


def test_ctrl_c_ends_the_container_and_says_how_to_go_on(
    home: Home, begin: Callable[[str], Profile], docker: Engine
) -> None:
    begin("interrupted")
    process = subprocess.Popen(
        home.command("rehearse", "--containers", "--run", "interrupted"),
        env=home.variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not containers(docker, "interrupted"):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "make rehearse RUN=interrupted" in error
    assert not containers(docker, "interrupted")
