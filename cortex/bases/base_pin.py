"""The pin of a run's base model, or of its teacher: the files that it loads, with their SHA-256, bound to the run once.

The pin is the manifest of a copy of the base, made before there is a copy. For a model of the hub it is made from the
hub's own hashes at one revision; for a folder, from the folder's bytes. It lies in the run's folder with an
authentication code made with the run's secret. So the pin can be trusted, and files from anywhere verified against it.
"""

import json

from pydantic import BaseModel, ConfigDict, ValidationError

from cortex.artifacts.creating import create
from cortex.artifacts.file_names import BASES
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.store import MissingObjectError, Store
from cortex.errors import RefusedError
from cortex.limits import MANIFEST_BYTES
from cortex.runs.run_secret import RunSecret

KIND = "base"

TEACHER = "teacher"
"""The kind of the pin of the model that `distill` imitates."""


class _Bound(BaseModel):
    """The pin as the bucket holds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    manifest: str
    """The manifest's canonical text."""
    code: str
    """The authentication code over the manifest's digest, made with the run's secret."""


def mirror_prefix(pin: Manifest) -> str | None:
    """The prefix of the bucket's copy of a hub's base; None for a base in a folder, which is not copied."""
    name, revision = pin.meta.get("base"), pin.meta.get("revision")
    if not isinstance(name, str) or not isinstance(revision, str):
        return None
    return f"{BASES}/{name.replace('/', '--')}/{revision}"


def find_pin(store: Store, secret: RunSecret, kind: str = KIND) -> Manifest | None:
    """Read the pin of a run's base (`runs/<run>/base.json`), or of its teacher (`TEACHER`); None while there is none.

    Raises:
        RefusedError: the object there was not made with the run's secret.
    """
    key = _key(secret, kind)
    try:
        bound = _Bound.model_validate_json(store.get(key, 2 * MANIFEST_BYTES))  # escaping in JSON makes it longer
    except MissingObjectError:
        return None
    except ValidationError as error:
        raise _replaced_error(store, secret, kind) from error
    pin = Manifest.parse(bound.manifest.encode(), f"{store.url}/{key}")
    if not secret.verifies(bound.code, kind, pin.digest):
        raise _replaced_error(store, secret, kind)
    return pin


def bind_pin(store: Store, secret: RunSecret, pin: Manifest, kind: str = KIND) -> Manifest:
    """Pin a run's base, or its teacher, if it is not pinned yet, and return the pin that holds.

    Raises:
        RefusedError: the object there was not made with the run's secret.
    """
    bound = {"manifest": pin.data.decode(), "code": secret.code(kind, pin.digest)}
    create(store, _key(secret, kind), json.dumps(bound, sort_keys=True).encode())
    found = find_pin(store, secret, kind)  # another process may have been first
    if found is None:
        raise _replaced_error(store, secret, kind)
    return found


def _key(secret: RunSecret, kind: str) -> str:
    return f"runs/{secret.run}/{kind}.json"


def _replaced_error(store: Store, secret: RunSecret, kind: str) -> RefusedError:
    return RefusedError(
        f"{store.url}/{_key(secret, kind)} does not carry the code of run {secret.run}: somebody replaced what its "
        f"{kind} is pinned to; restore its older version, or start a new run"
    )
