"""The base model of a run, as a folder of this machine, verified file by file against the run's pin.

A hub's model comes from the bucket's copy, or, if that is missing or damaged, from the hub; then it is copied into the
bucket for later tasks and runs. Neither the bucket nor the hub is trusted: every file must match the pin.
"""

from collections.abc import Mapping
from pathlib import Path

from loguru import logger
from pydantic import JsonValue

from cortex.artifacts.artifact import Artifact, find, publish
from cortex.artifacts.hashing import hash_files
from cortex.artifacts.landing import landing
from cortex.artifacts.manifest import FileEntry, Manifest
from cortex.artifacts.patience import Patience
from cortex.artifacts.receiving import receive
from cortex.artifacts.sending import send
from cortex.artifacts.store import MissingObjectError, StoreError
from cortex.artifacts.verify import verify
from cortex.bases.base_folder import check_base, is_folder, read_base_files
from cortex.bases.base_pin import KIND, bind_pin, find_pin, mirror_prefix
from cortex.bases.base_request import download_files, read_manifest
from cortex.bases.base_rules import needed_files
from cortex.errors import DataError, RefusedError, VerificationError
from cortex.runs.context import RunContext

MIRRORING = Patience(deadline=60.0)
"""Retries of writing a base's copy to the bucket: the copy saves later machines a download, but GPUs wait for it."""


def base_folder(context: RunContext) -> Path | None:
    """The folder of the run's base on this machine; None for a base that is built from nothing.

    Raises:
        CortexError: as `base_artifact`.
    """
    base = base_artifact(context)
    return base.path if base else None


def base_artifact(context: RunContext) -> Artifact | None:
    """The run's base on this machine, verified, with the manifest that the run is pinned to.

    Raises:
        ConfigError: the base cannot be used, the hub refuses it, or the disk has no room for it.
        DataError: a base in a folder is not the one that the run began with, or a hub's cannot be downloaded.
        RefusedError: the pin was replaced, or another process of this machine downloads the same base.
    """
    name = context.profile.model.base
    if name is None:
        return None
    if KIND not in context.seen:
        if is_folder(name):
            check_base(name)
        context.seen[KIND] = pinned_model(context, name, context.profile.model.revision)
    return context.seen[KIND]


def pinned_model(context: RunContext, name: str, revision: str | None, kind: str = KIND) -> Artifact:
    """A model of the hub or of a folder on this machine, verified against the run's pin of this kind, which is made now
    if there is none.

    Raises:
        CortexError: as `base_artifact`.
    """
    return _in_folder(context, name, kind) if is_folder(name) else _of_hub(context, name, revision, kind)


def require_pinned(context: RunContext, here: Manifest, what: str, kind: str) -> None:
    """Refuse a model whose files are not those that the run began with; at its first use they are pinned.

    `what` names the model in the error.

    Raises:
        DataError: the files are others.
        RefusedError: the pin was replaced.
    """
    pin = find_pin(context.store, context.secret, kind) or bind_pin(context.store, context.secret, here, kind)
    if pin.digest == here.digest:
        return
    began, found = ({entry.name: entry.sha256 for entry in manifest.files} for manifest in (pin, here))
    differing = min((other for other, _ in began.items() ^ found.items()), default=f"{kind}.json")
    raise DataError(
        f"{what} is not the model that run {context.run} began with: {differing!a} is another, or only in one of them; "
        "put the same files on every machine, or start a new run"
    )


def require_trained_on(base: Artifact, stage: str, made: Manifest) -> None:
    """Refuse an adapter that an earlier stage trained on another base: it does not fit this one.

    Raises:
        DataError: the stage used another base.
    """
    trained_on = made.inputs.get(KIND)
    if trained_on is not None and trained_on != base.digest:
        raise DataError(
            f"what {stage} made was trained on another base ({trained_on[:12]}) than the one in {base.path} "
            f"({base.digest[:12]}): an adapter fits its own base alone; start a new run"
        )


def folder_manifest(base: str, meta: Mapping[str, JsonValue] | None = None) -> Manifest:
    """The manifest of a base in a folder of this machine. With the pin's `meta`, its digest is that of the pin where
    the files are those of the pin.

    Raises:
        ConfigError: the folder holds no model, or cannot be read.
    """
    folder = Path(base).expanduser().absolute()
    names = needed_files(read_base_files(base))
    # A folder of the hub's cache holds links to its files.
    hashes = hash_files([(folder / name).resolve() for name in names])
    entries = (FileEntry(name=n, size=found.size, sha256=found.sha256) for n, found in zip(names, hashes, strict=True))
    return Manifest(kind=KIND, files=tuple(entries), meta=dict(meta or {}))


def _in_folder(context: RunContext, name: str, kind: str) -> Artifact:
    """The model in a folder of this machine; all machines of a run must have the same files."""
    here = folder_manifest(name)
    require_pinned(context, here, f"model.base {name}", kind)
    return Artifact(Path(name).expanduser().absolute(), here)


def _of_hub(context: RunContext, name: str, revision: str | None, kind: str) -> Artifact:
    store, secret, pin = context.store, context.secret, find_pin(context.store, context.secret, kind)
    if pin is None:
        pin = bind_pin(store, secret, read_manifest(name, revision, context.work), kind)
    prefix = mirror_prefix(pin)
    if prefix is None or pin.meta.get("base") != name:
        raise RefusedError(f"run {context.run} is pinned to another {kind} than its profile's {name}: start a new run")
    target, damage = context.work / "inputs" / pin.digest, None
    try:
        mirrored = _from_bucket(context, pin, prefix, target)
    except (VerificationError, MissingObjectError) as error:
        mirrored, damage = None, error
        logger.warning(f"{error}: the base is taken from the hub in its place")
    if mirrored:
        context.ledger.append(kind, source="bucket", digest=pin.digest, bytes=pin.size)
        return Artifact(mirrored, pin)
    try:
        with landing(target, pin) as landed:
            if landed:
                download_files(name, pin, landed.path, context.work)
    except DataError as error:
        if damage is None:
            raise
        raise DataError(f"{damage}; and {error}; delete {store.url}/{prefix} once the hub gives the base") from error
    context.ledger.append(kind, source="hub", digest=pin.digest, bytes=pin.size)
    return Artifact(_mirror(context, pin, prefix, target), pin)


def _from_bucket(context: RunContext, pin: Manifest, prefix: str, target: Path) -> Path | None:
    """The bucket's copy on this machine, verified against the pin; None if the bucket has none.

    Raises:
        VerificationError: the copy is damaged, or of another model.
        MissingObjectError: a file of the copy is missing.
    """
    store = context.store
    there = find(store, prefix)
    if there is None:
        return None
    if there.digest != pin.digest:
        raise VerificationError(f"{store.url}/{prefix} is not what the hub has at that revision: delete it")
    folder = store.local_path(prefix)
    if folder is None:
        receive(store, prefix, pin, target)
        return target
    verify(folder, pin).require()
    return folder


def _mirror(context: RunContext, pin: Manifest, prefix: str, folder: Path) -> Path:
    """Copy a base into the bucket, or repair the copy there, and return the base's folder. A failure only warns."""
    if not context.leads:
        return folder  # of machines that train together, the leader copies it
    store = context.store.with_patience(MIRRORING)
    try:
        there = find(store, prefix)
        if there is None:
            # Two runs that publish at once write the same bytes, so either may come first.
            return publish(folder, store, prefix, kind=KIND, code="", meta=pin.meta, lease=context.lease).path
        if there.digest == pin.digest:
            present = {entry.key: entry.size for entry in store.list(prefix)}
            names = [entry.name for entry in pin.files]
            send(folder, names, store, prefix, present, context.lease.throttled_check())
            return folder
        raise RefusedError(f"{store.url}/{prefix} holds something else: delete it")
    except (StoreError, VerificationError, RefusedError) as error:
        context.lease.check()  # a run that another process took over stops here
        logger.warning(f"the bucket gets no copy of the base, so that each machine takes it from the hub: {error}")
    return folder
