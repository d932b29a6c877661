"""SkyPilot's own commands that prepare a container before a task, run with no network to fetch from."""

from collections.abc import Iterator

import pytest
from sky.skylet import constants

from scripts.images.build import build
from tests.containers.conftest import BUILD_OPTIONS, Images

SETTLED = " ".join(
    (constants.SETUP_SKY_DIRS_COMMANDS, constants.UV_INSTALLATION_COMMANDS, constants.RAY_INSTALLATION_COMMANDS)
)
"""The commands that SkyPilot's templates run on every machine, one after the other."""


@pytest.fixture(scope="module")
def machine(images: Images) -> Iterator[str]:
    """A container of the data image as SkyPilot starts it, but without a network; yields its name."""
    lean = images["data"]
    build("data", "cpu", base_image=images.settings.base_image, options=BUILD_OPTIONS.split())
    size = images.engine.said("image", "inspect", "--format", "{{.Size}}", "cortex-data:cpu")
    print(f"data for SkyPilot: {int(size) / 1e6:.0f} MB, lean {images.inspect('data')['Size'] / 1e6:.0f} MB")
    options = ("--network=none", "--init", "--entrypoint=/bin/bash", "--memory=1g")
    name = images.engine.said("run", "--detach", *options, "cortex-data:cpu", "-c", "sleep infinity")
    yield name
    images.engine.docker("rm", "--force", name)
    images.engine.said("tag", lean, "cortex-data:cpu")  # the tag is the lean one's again


def inside(images: Images, machine: str, script: str) -> str:
    return images.engine.said("exec", machine, "bash", "-lc", script)


def test_what_skypilot_installs_is_there(images: Images, machine: str) -> None:
    assert inside(images, machine, "whoami") == "root"
    said = inside(images, machine, f"set -e; {SETTLED} echo installed; cat ~/.sky/ray_path")
    assert said.splitlines()[-2:] == ["installed", "/root/skypilot-runtime/bin/ray"]
    inside(images, machine, f"{constants.SKY_USER_ENV_CREATION_COMMANDS} test -x ~/sky-user-env/bin/pip")
    version = inside(images, machine, "~/skypilot-runtime/bin/python -c 'import sky, ray; print(sky.__version__)'")
    assert version == "0.14.1"


def test_one_can_log_in_and_finds_the_kit(images: Images, machine: str) -> None:
    made = "mkdir -p ~/.ssh; ssh-keygen -qt ed25519 -N '' -f ~/.ssh/id; cp ~/.ssh/id.pub ~/.ssh/authorized_keys"
    inside(images, machine, f"{made}; service ssh start")
    login = "ssh -i ~/.ssh/id -o StrictHostKeyChecking=no root@127.0.0.1"
    assert "rehearse" in inside(images, machine, f"{login} cortex --help")
    assert inside(images, machine, f"{login} 'command -v rsync curl wget patch fusermount | wc -l'") == "5"


def test_no_host_key_is_in_the_image(images: Images, machine: str) -> None:
    """Anybody who pulls an image with host keys would have the keys of every machine started from it."""
    listed = images.engine.said("run", "--rm", "--network=none", "cortex-data:cpu", "ls", "/etc/ssh")
    assert "sshd_config" in listed and "ssh_host_" not in listed
