"""Push of images, and the file of digests by which machines start them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from cortex.artifacts.folders import write_whole
from cortex.errors import ConfigError, RefusedError, StageError
from cortex.fleet.tasks.image_digests import DIGESTS, read_digests
from scripts.images.build import Built, revision
from scripts.images.docker import docker, docker_aloud

REGISTRY = re.compile(r"[a-z0-9][a-z0-9.:-]*(/[a-z0-9][a-z0-9._-]*)*")


def push(image: Built, registry: str, *, dirty: bool = False) -> str:
    """Push an image to `<registry>/<name>`, and return its reference by digest in the registry.

    The tag consists of the version, the variant and the image's hash. An image that the registry has already is not
    pushed again: a registry with immutable tags, such as the stack's ECR, would refuse even the same image.

    Raises:
        ConfigError: `registry` is not a registry.
        RefusedError: the image is not of the commit that is checked out, or has uncommitted changes.
        StageError: the registry did not accept the image, or returns another one.
    """
    if not REGISTRY.fullmatch(registry):
        raise ConfigError(f"registry {registry!r} is no registry: name one as host/folder, without a scheme or a tag")
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", image.tag))
    built_from, here = labels["org.opencontainers.image.revision"], revision(image.name)
    if not dirty and (built_from != here or here.endswith("-dirty") or here == "unknown"):
        raise RefusedError(
            f"{image.tag} is of {_short(built_from)}, and the checkout is at {_short(here)}: "
            "commit, and `make images`; or push it as it is with DIRTY=1"
        )
    repository = f"{registry}/{image.name}"
    version = labels["org.opencontainers.image.version"]
    target = f"{repository}:{version}-{image.variant}-{image.identity.removeprefix('sha256:')[:16]}"
    if not _is_there(target, image.identity):
        docker("tag", image.tag, target)
        docker_aloud("push", "--quiet", target)
    reference = pushed_reference(image.tag, repository)
    # Machines pull by digest, so check that the registry returns for it what was pushed.
    docker("pull", "--quiet", reference)
    if docker("image", "inspect", "--format", "{{.Id}}", reference) != image.identity:
        raise StageError(f"{reference} is not {image.tag}: the registry changed it")
    return reference


def _is_there(target: str, identity: str) -> bool:
    """True where the registry has this image under its tag. An unreachable registry is reported by the push itself."""
    try:
        docker("pull", "--quiet", target)  # layers that this engine has are not downloaded
    except StageError:
        return False
    return docker("image", "inspect", "--format", "{{.Id}}", target) == identity


def pushed_reference(tag: str, repository: str) -> str:
    """The reference by the digest with which the registry answered a push, `<repository>@sha256:...`."""
    known = json.loads(docker("image", "inspect", "--format", "{{json .RepoDigests}}", tag))
    for reference in known:
        if reference.startswith(f"{repository}@"):
            return reference
    raise StageError(f"{repository} took {tag}, and told no digest")


def write_digests(pushed: Mapping[str, str], path: Path = DIGESTS) -> None:
    """Add pushed images to the file of digests."""
    every = {**read_digests(path), **pushed}
    aside = path.with_name(f"{path.name}.part")
    write_whole(aside, (json.dumps(dict(sorted(every.items())), indent=2) + "\n").encode())
    aside.replace(path)


def _short(revision: str) -> str:
    commit, _, changed = revision.partition("-")
    return f"{commit[:12]}, with changes" if changed else commit[:12]
