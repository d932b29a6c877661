"""A rehearsal's stages in containers of their images, without a network, able to write the run's own folders alone."""

import os
import secrets
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cortex.artifacts.folder_store import INCOMING, FolderStore
from cortex.artifacts.store import Store
from cortex.domains.registry import outside_folder
from cortex.errors import ConfigError
from cortex.local.docker import WITHOUT, check_engine, cpu_image, docker_command
from cortex.process import running
from cortex.profiles.profile import Profile
from cortex.runs.run_secret import SECRET_VARIABLE, RunSecret
from cortex.settings import Settings

USER = 10001
"""The user id that containers run under when the caller is root; otherwise they run under the caller's own."""

HARDENED = (
    "--network=none",
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--pids-limit=1024",
)
"""A container cannot reach a network, write to its image, become another user, or fill the machine with processes."""

GRACE = 20
"""Seconds between SIGTERM and SIGKILL, for a stage to save its work."""

_NO_NETWORK = f"containers of a rehearsal have no network; change that, {WITHOUT}"

_GUARD = 'read -r _; "$1" stop --time "$2" "$3"; "$1" rm --force "$3"'
"""Waits until its standard input closes, at the block's end or when this process dies; then stops the container."""


@dataclass(frozen=True)
class Containers:
    """Makes containers on the Docker Engine that the `docker` command reaches."""

    run: str
    profile: Profile
    store: Store
    settings: Settings
    kind: str = "image"
    at_once: int = 1
    """Builds share one cache of packages and take turns at it, not in the order in which they were started."""

    def check(self) -> None:
        """Check that the stages can run in containers.

        Raises:
            ConfigError: no engine answers, or the run needs a network, which these containers do not have.
        """
        _folder(self.store)
        for domain in self.profile.domain.parts().values():
            if folder := outside_folder(domain):
                raise ConfigError(
                    f"domain {domain.kind!r} lies in {folder}, which images do not hold: move it into "
                    "cortex/domains/, or rehearse without containers"
                )
        if self.profile.domain.services():
            raise ConfigError(f"profile {self.profile.name} asks a service for its data: {_NO_NETWORK}")
        teacher = self.profile.teacher
        if url := self.settings.teacher_url or teacher.url or next((each.address for each in teacher.providers), None):
            raise ConfigError(f"the teacher is at {url}: {_NO_NETWORK}")
        check_engine()

    def make(self, image: str) -> "Container":
        log = self.settings.work(self.run) / "logs" / f"image-{image}.log"
        return Container(cpu_image(image, self.settings, log), self.run, self.profile, self.store, self.settings)


@dataclass(frozen=True)
class Container:
    """One image; every stage runs in a new container of it."""

    image: str
    """The image's id."""
    run: str
    profile: Profile
    store: Store
    settings: Settings

    @contextmanager
    def running(self, words: Sequence[str], output: IO[Any]) -> Generator["subprocess.Popen[str]"]:
        """Start `cortex WORDS...` in a container that ends with the block, or with this process."""
        name = f"cortex-{self.run}-{secrets.token_hex(4)}"
        docker, owner = docker_command(), _owner()
        bucket, work = _folder(self.store), self.settings.work(self.run).absolute()
        _make_folders(bucket, work, self.run, owner)
        command = [
            docker,
            "run",
            "--rm",
            f"--name={name}",
            f"--user={owner[0]}:{owner[1]}",
            f"--memory={self.settings.container_memory}",
            *HARDENED,
            "--env=HOME=/tmp",
            "--env=USER=cortex",
            f"--env=CORTEX_HOME={self.settings.home.absolute()}",
            f"--env=CORTEX_BUCKET={bucket}",
            f"--env={SECRET_VARIABLE}",  # the name alone, so that the value is on no command line
            # Mounted at the same paths as outside, so that paths in a stage's output are right out here too.
            *(f"--mount=type=bind,source={path},target={path}" for path in (bucket, work)),
            *(f"--mount=type=bind,source={path},target={path},readonly" for path in _named_paths(self.profile)),
            self.image,
            *words,
        ]
        variables = {**os.environ, SECRET_VARIABLE: RunSecret.of(self.run, self.settings).value}
        with (
            _stopped_at_exit(docker, name),
            running(command, env=variables, stdout=output, stderr=subprocess.STDOUT) as process,
        ):
            yield process


def _folder(store: Store) -> Path:
    if not isinstance(store, FolderStore):
        raise ConfigError(f"the bucket {store.url} is no folder: {_NO_NETWORK}")
    return store.root


def _owner() -> tuple[int, int]:
    return (USER, USER) if os.geteuid() == 0 else (os.geteuid(), os.getegid())


def _make_folders(bucket: Path, work: Path, run: str, owner: tuple[int, int]) -> None:
    """Make the folders that a run writes. Root gives them to the containers' user, and can still use them."""
    incoming, folder = bucket / INCOMING, bucket / "runs" / run
    for path in (incoming, folder, work):
        path.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return
    for path in (bucket, bucket / "runs"):
        os.chown(path, *owner)
    for top in (incoming, folder, work):
        for parent, folders, files in os.walk(top):
            for path in (Path(parent), *(Path(parent, name) for name in (*folders, *files))):
                os.lchown(path, *owner)


def _named_paths(profile: Profile) -> list[Path]:
    """The files and folders on this machine's disk that a profile names."""
    base, named = profile.model.base, list(profile.domain.files())
    fed = (part.feedback.folder for part in profile.domain.parts().values() if part.feedback)
    named += [folder for folder in fed if folder]
    if base and Path(base).is_absolute() and Path(base).exists():
        named.append(Path(base))
    return named


@contextmanager
def _stopped_at_exit(docker: str, name: str) -> Generator[None]:
    """Stop a container with the block, or with this process, even by SIGKILL: a separate process waits for either."""
    guard = subprocess.Popen(
        ["sh", "-c", _GUARD, "guard", docker, str(GRACE), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        guard.communicate()
