"""The base of a released adapter on this machine: found, and verified to be the one that it was trained on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from cortex.artifacts.artifact import find
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.receiving import receive
from cortex.artifacts.store import Store
from cortex.artifacts.verify import verify
from cortex.bases.base_folder import is_folder
from cortex.bases.base_model import folder_manifest
from cortex.bases.base_pin import KIND, mirror_prefix
from cortex.bases.base_rules import INDEX
from cortex.errors import ConfigError, DataError, VerificationError
from cortex.limits import RECORD_BYTES, read_file, read_json


@dataclass(frozen=True)
class BasePin:
    """The base that a release's run was pinned to, as its provenance names it."""

    name: str
    revision: str | None
    """A commit of the hub; None for a base of a folder."""
    digest: str
    """Digest of its manifest."""

    @property
    def meta(self) -> dict[str, JsonValue]:
        """Further keys of its manifest."""
        return {"base": self.name, "revision": self.revision} if self.revision else {}


def read_base_pin(release: Path) -> BasePin:
    """The pin of the base of a release.

    Raises:
        DataError: its provenance names none.
    """
    path = release / "provenance.json"
    try:
        base: Any = read_json(read_file(path, RECORD_BYTES))["base"]
        return BasePin(str(base["name"]), base["revision"], str(base["manifest"]))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(f"{path} names no base, so its adapter fits none: serve the copy `model`") from error


def find_base(pin: BasePin, given: str | None, store: Store, home: Path) -> Path:
    """The verified folder of a base: the one given, the folder that the run named, or the bucket's copy.

    Raises:
        ConfigError: there is none here, or what is there is another model.
        VerificationError: the bucket's copy is damaged.
    """
    named = given or (pin.name if is_folder(pin.name) and not pin.revision else None)
    if named is None:
        return _from_bucket(pin, store, home)
    folder, here = Path(named).expanduser().absolute(), folder_manifest(named, pin.meta)
    if here.digest != pin.digest:
        raise ConfigError(
            f"{named} is not the base that the adapter was trained on ({_words(pin)}): its files make the manifest "
            f"{here.digest[:12]}, not {pin.digest[:12]}; name the folder of that base as `base`"
        )
    # Without an index vLLM loads all files of weights in a folder, also those of which the pin knows nothing.
    stray = {path.name for path in folder.glob("*.safetensors")} - {entry.name for entry in here.files}
    if stray and not (folder / INDEX).exists():
        raise ConfigError(f"{folder} holds {min(stray)!a}, which is no file of {_words(pin)}: remove it from there")
    return folder


def _from_bucket(pin: BasePin, store: Store, home: Path) -> Path:
    prefix = mirror_prefix(Manifest(kind=KIND, files=(), meta=pin.meta))
    there = find(store, prefix) if prefix else None
    if prefix is None or there is None:
        raise ConfigError(
            f"the base {_words(pin)} is not in {store.url}, and no folder of it is named: download it, and name its "
            "folder as `base`"
        )
    if there.digest != pin.digest:
        raise VerificationError(f"{store.url}/{prefix} is not the base that the run was pinned to: delete it")
    folder = store.local_path(prefix)
    if folder is not None:
        verify(folder, there).require()
        return folder
    folder = home.absolute() / "bases" / pin.digest
    receive(store, prefix, there, folder)
    return folder


def _words(pin: BasePin) -> str:
    return f"{pin.name} at {pin.revision[:12]}" if pin.revision else pin.name
