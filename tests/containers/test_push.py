"""Pushing to a real registry from Debian's packages: the written digest is what machines can pull."""

import json
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cortex.errors import ConfigError, RefusedError, StageError
from cortex.fleet.tasks.run_tasks import resolve
from cortex.process import running
from cortex.profiles.profile_file import load_profile
from cortex.settings import Settings
from scripts.images.build import Built, found, revision
from scripts.images.push import push, write_digests
from tests.containers.engine import Engine, default_place
from tests.debian import Debian

NAME, VARIANT = "push-test", "none"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with serving(tmp_path_factory.mktemp("registry")) as address:
        yield address


@contextmanager
def serving(folder: Path, address: str = "", *, readonly: bool = False) -> Generator[str]:
    """A registry on loopback, which engines trust, at `address` or a free port; yields its address with a folder."""
    program = default_place() / "registry" / "usr/bin/docker-registry"
    with (folder / "log").open("wb") as log:
        if not program.exists():
            Debian(default_place(), log.fileno()).unpack(["docker-registry"], default_place() / "registry")
        if not address:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                address = f"127.0.0.1:{free.getsockname()[1]}"
        maintenance = {"readonly": {"enabled": readonly}}
        settings = {
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "maintenance": maintenance},
            "http": {"addr": address},
        }
        (folder / "settings.yml").write_text(json.dumps(settings))
        command = [program, "serve", folder / "settings.yml"]
        with running(command, stdout=log.fileno(), stderr=subprocess.STDOUT):
            host, _, port = address.partition(":")
            for _ in range(100):
                with socket.socket() as knock:
                    if not knock.connect_ex((host, int(port))):
                        break
                time.sleep(0.1)
            yield f"{address}/kit"


def made(docker: Engine, tmp_path: Path, *, of: str) -> Built:
    """A small image that names its commit."""
    (tmp_path / "Dockerfile").write_text(
        f'FROM scratch\nCOPY Dockerfile /held\nLABEL org.opencontainers.image.revision="{of}" '
        'org.opencontainers.image.version="0.1"\n'
    )
    docker.said("build", "--tag", f"cortex-{NAME}:{VARIANT}", tmp_path)
    return found(NAME, VARIANT)


def test_what_is_pushed_is_pulled_by_its_digest(docker: Engine, registry: str, tmp_path: Path) -> None:
    image = made(docker, tmp_path, of="elsewhere")
    reference = push(image, registry, dirty=True)
    assert reference.startswith(f"{registry}/{NAME}@sha256:")
    assert push(image, registry, dirty=True) == reference, "the same image twice is one image"
    docker.said("rmi", "--force", image.identity)
    docker.said("pull", reference)
    assert docker.said("image", "inspect", "--format", "{{.Id}}", reference) == image.identity
    write_digests({"data": reference}, tmp_path / "digests.json")
    task = resolve(load_profile("rehearsal"), "r", settings=Settings(), digests=tmp_path / "digests.json")[0]
    assert task["resources"]["image_id"] == f"docker:{reference}", "what is pushed is what machines start from"
    other = made(docker, tmp_path, of="somewhere else")
    assert push(other, registry, dirty=True) != reference


def test_an_image_that_is_there_is_not_pushed_again(docker: Engine, tmp_path: Path) -> None:
    """ECR refuses a second push under a tag that never moves, even of the same image."""
    image = made(docker, tmp_path, of="elsewhere")
    with serving(tmp_path) as registry:
        reference = push(image, registry, dirty=True)
    with serving(tmp_path, registry.partition("/")[0], readonly=True):
        assert push(image, registry, dirty=True) == reference
        with pytest.raises(StageError, match="docker push failed"):
            push(made(docker, tmp_path, of="somewhere else"), registry, dirty=True)


def test_an_image_of_another_commit_is_refused(docker: Engine, registry: str, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="DIRTY=1"):
        push(made(docker, tmp_path, of="0" * 40), registry)
    here = revision(NAME)
    if here.endswith("-dirty") or here == "unknown":
        with pytest.raises(RefusedError, match="DIRTY=1"):
            push(made(docker, tmp_path, of=here), registry)
    else:
        assert push(made(docker, tmp_path, of=here), registry)


@pytest.mark.parametrize("registry", ["https://host/kit", "host/kit:tag", "host/kit/", ""])
def test_what_is_no_registry_is_refused(registry: str) -> None:
    with pytest.raises(ConfigError, match="host/folder"):
        push(Built(NAME, VARIANT, "sha256:0", 1), registry)


def test_a_registry_that_does_not_answer_is_a_failure(docker: Engine, tmp_path: Path) -> None:
    image = made(docker, tmp_path, of="elsewhere")
    with pytest.raises(StageError, match="docker push failed"):
        push(image, "127.0.0.1:1/kit", dirty=True)
