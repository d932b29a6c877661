"""Build of the images, from one Dockerfile and each image's lock."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

import cortex
from cortex.errors import ConfigError, UsageError
from cortex.local.environments import python_version
from cortex.section import nearest
from cortex.settings import CHECKOUT
from scripts.images.docker import docker, docker_aloud

NAMES = ("data", "sft", "grpo", "quantize", "serve", "tinker")
VARIANTS = {"cuda": "requirements.lock", "cpu": "requirements.cpu.lock"}
DOCKERFILE = CHECKOUT / "images" / "Dockerfile"

SHIPPED = (
    "images/Dockerfile",
    "images/Dockerfile.dockerignore",
    "LICENSE",
    "sky.yaml",
    "jobs",
    "cortex",
    "images/debian",
    "images/serve",
    "images/skypilot",
)
"""Files that determine an image's contents, besides its lock."""


@dataclass(frozen=True)
class Built:
    """An image in the Docker Engine."""

    name: str
    variant: str
    identity: str
    """The hash of its configuration, `sha256:...`, which covers all of the image's bytes."""
    size: int
    seconds: float = 0.0

    @property
    def tag(self) -> str:
        return local_tag(self.name, self.variant)


def local_tag(name: str, variant: str) -> str:
    """The tag of an image on the machine that builds it: its name in `sky.yaml`, and its variant."""
    return f"cortex-{name}:{variant}"


def chosen(names: Sequence[str]) -> list[str]:
    """The images to work on: those named, or all.

    Raises:
        UsageError: there is no such image.
    """
    for name in names:
        if name not in NAMES:
            raise UsageError(f"no image {name!r}: {nearest(name, NAMES)}")
    return list(names or NAMES)


def build(
    name: str, variant: str, *, lean: bool = False, base_image: str | None = None, options: Sequence[str] = ()
) -> Built:
    """Build one image. `base_image` replaces the Dockerfile's; `options` go to `docker build` as they are.

    A `lean` image lacks the programs that SkyPilot runs in it, so SkyPilot installs them on each machine.

    Raises:
        ConfigError: there is no engine, or no lock of that variant.
        StageError: the build failed.
    """
    lock = CHECKOUT / "images" / name / VARIANTS[variant]
    if not lock.is_file():
        raise ConfigError(f"{lock.relative_to(CHECKOUT)} is not there: make it with `make locks`")
    flavour = "lean" if lean or name == "serve" else "sky"
    arguments = {
        "IMAGE": name,
        "PYTHON": python_version(name),
        "VARIANT": variant,
        "FLAVOUR": flavour,
        "VERSION": cortex.__version__,
        "REVISION": revision(name),
    }
    arguments |= {"SOURCE": source()} if source() else {}
    base_image = base_image or _own_base(name)
    arguments |= {"BASE_IMAGE": base_image} if base_image else {}
    if wheels := local_wheels(lock.read_text(encoding="utf-8")):
        arguments["WHEELS"] = wheel_image(wheels)
    certificates = os.environ.get("SSL_CERT_FILE")
    started = time.monotonic()
    docker_aloud(
        "build",
        *("--file", DOCKERFILE),
        *("--target", "serve" if name == "serve" else "job"),
        *("--tag", local_tag(name, variant)),
        *[word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")],
        *(["--secret", f"id=certificates,src={certificates}"] if certificates else []),
        *options,
        CHECKOUT,
    )
    return found(name, variant, seconds=time.monotonic() - started)


def _own_base(name: str) -> str | None:
    """The base of an image that needs another Python than the others; None for those."""
    named = CHECKOUT / "images" / name / "base"
    return named.read_text(encoding="utf-8").strip() if named.is_file() else None


def found(name: str, variant: str, *, seconds: float = 0.0) -> Built:
    """An image that was built here.

    Raises:
        StageError: it was not.
    """
    identity, size = docker("image", "inspect", "--format", "{{.Id}} {{.Size}}", local_tag(name, variant)).split()
    return Built(name, variant, identity, int(size), seconds)


def revision(name: str) -> str:
    """The commit that an image is built from, with `-dirty` where its files differ from the commit."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return "unknown"
    changed = _git("status", "--porcelain", "--", *SHIPPED, f"images/{name}", "images/control/requirements.lock")
    return f"{commit}-dirty" if changed else commit


def source() -> str:
    """URL of git's remote, without credentials; empty where there is none."""
    url = _git("config", "--get", "remote.origin.url")
    return re.sub(r"//[^/@]*@", "//", url) if url.startswith(("https://", "ssh://", "git@")) else ""


def local_wheels(lock: str) -> list[Path]:
    """Wheels in the folders of UV_FIND_LINKS (or PIP_FIND_LINKS) for packages without a hash in the lock."""
    links = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS") or ""
    folders = [
        Path(unquote(urlparse(link).path))
        for link in re.split(r"[,\s]+", links)
        if "://" not in link or link.startswith("file://")
    ]
    unpinned = re.findall(r"(?m)^([A-Za-z0-9._-]+)==([^\s\\;]+)\s*$", lock)
    patterns = [f"{re.sub('[-_.]+', '_', name)}-{version}[+-]*.whl" for name, version in unpinned]
    return sorted(wheel for folder in folders for pattern in patterns for wheel in folder.glob(pattern))


def wheel_image(wheels: Sequence[Path]) -> str:
    """An image with wheels in /wheels on this engine, so that a build can mount them, and no layer keeps them."""
    names = hashlib.sha256("".join(f"{wheel.name} {wheel.stat().st_size}\n" for wheel in wheels).encode()).hexdigest()
    tag = f"cortex-wheels:{names[:12]}"
    if docker("image", "ls", "--quiet", tag):
        return tag
    with tempfile.TemporaryDirectory() as folder:
        for wheel in wheels:
            Path(folder, wheel.name).symlink_to(wheel.resolve())
        packed = subprocess.run(
            ["tar", "-ch", "-C", folder, "--transform", "s,^\\./,wheels/,", "."], stdout=subprocess.PIPE, check=True
        )
    docker("import", "-", tag, given=packed.stdout)
    return tag


def _git(*words: str) -> str:
    if shutil.which("git") is None:
        return ""
    return subprocess.run(
        ["git", *words], cwd=CHECKOUT, capture_output=True, text=True, check=False, encoding="utf-8"
    ).stdout.strip()
