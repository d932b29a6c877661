"""The pin of a run's base model: the files that it loads, each with its SHA-256, bound to the run once.

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

PIN = "base.json"
"""The pin's object in a run's folder, written once."""


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


def find_pin(store: Store, secret: RunSecret) -> Manifest | None:
    """Read the pin of a run's base; None while there is none.

    Raises:
        RefusedError: the object there was not made with the run's secret.
    """
    key = _key(secret)
    try:
        bound = _Bound.model_validate_json(store.get(key, 2 * MANIFEST_BYTES))  # escaping in JSON makes it longer
    except MissingObjectError:
        return None
    except ValidationError as error:
        raise _replaced_error(store, secret) from error
    pin = Manifest.parse(bound.manifest.encode(), f"{store.url}/{key}")
    if not secret.verifies(bound.code, KIND, pin.digest):
        raise _replaced_error(store, secret)
    return pin


def bind_pin(store: Store, secret: RunSecret, pin: Manifest) -> Manifest:
    """Pin a run's base if it is not pinned yet, and return the pin that holds.

    Raises:
        RefusedError: the object there was not made with the run's secret.
    """
    bound = {"manifest": pin.data.decode(), "code": secret.code(KIND, pin.digest)}
    create(store, _key(secret), json.dumps(bound, sort_keys=True).encode())
    found = find_pin(store, secret)  # another process may have been first
    if found is None:
        raise _replaced_error(store, secret)
    return found


def _key(secret: RunSecret) -> str:
    return f"runs/{secret.run}/{PIN}"


def _replaced_error(store: Store, secret: RunSecret) -> RefusedError:
    return RefusedError(
        f"{store.url}/{_key(secret)} does not carry the code of run {secret.run}: somebody replaced what its base is "
        "pinned to; restore its older version, or start a new run"
    )
