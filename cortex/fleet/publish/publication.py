"""The plan of a publication: the release, the repository, and what is there already; nothing is written yet."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import yaml

from cortex.artifacts.manifest import Manifest
from cortex.bases.base_folder import is_folder
from cortex.bases.base_rules import TERMS_FILES
from cortex.bases.licences import require_licence, require_terms
from cortex.errors import ConfigError, DataError, RefusedError
from cortex.fleet.publish.hub_client import explaining_hub
from cortex.fleet.publish.hub_reading import read_small
from cortex.fleet.publish.hub_tree import CARD, HUBS_OWN, LAST, LocalFile, bytes_file, local_files, read_tree, unlike
from cortex.limits import MIB, RECORD_BYTES, read_file, read_json

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

Visibility = Literal["private", "gated", "public"]

_TERMS_BYTES = 1 * MIB
"""Most bytes of a licence's text."""


@dataclass(frozen=True)
class Order:
    """The publication that a user asks for."""

    repository: str
    """As `owner/name`."""
    visibility: Visibility = "private"
    licence: str | None = None
    """The licence that the user names, if the kit cannot be certain of it."""
    replace: bool = False
    """Replace what the repository holds."""


@dataclass(frozen=True)
class Publication:
    """A checked plan."""

    order: Order
    manifest: Manifest
    files: dict[str, LocalFile]
    """All files of the release, and the licence texts of its base."""
    licence: str
    base: str | None
    address: str
    exists: bool
    missing: tuple[LocalFile, ...]
    """The files that the repository does not have, or has with other contents."""
    removed: tuple[str, ...]
    """Files of another content or name that `--replace` removes."""

    def facts(self) -> dict[str, str]:
        """The plan in words, by subject."""
        sent = sum(file.size for file in self.missing)
        there = "" if self.exists else ", which is made now"
        words = {"private": "you and your organisation", "gated": "those whom you let in", "public": "everybody"}
        facts = {
            "repository": f"{self.address}{there}",
            "visibility": f"{self.order.visibility}: {words[self.order.visibility]} can read it",
            "release": f"manifest {self.manifest.digest[:12]}, {len(self.files)} files, "
            f"{sum(file.size for file in self.files.values()):,} bytes",
            "licence": self.licence + (f", from {self.base}" if self.base else ""),
            "to send": f"{len(self.missing)} files, {sent:,} bytes",
        }
        return facts | ({"removed": ", ".join(self.removed)} if self.removed else {})


def plan_publication(api: "HfApi", folder: Path, manifest: Manifest, order: Order) -> Publication:
    """Check all that can be checked before the first write. The caller has verified the folder.

    Raises:
        ConfigError: the licence asks for something else; or HF_TOKEN is not accepted.
        RefusedError: HF_TOKEN may not write there, the repository holds something else, it is public and was to be
            private, or the licence is unknown or forbids it.
        HubSilentError: the hub does not answer.
    """
    owner, _, name = order.repository.partition("/")
    if not owner or not name or "/" in name:
        raise ConfigError(f"--to is {order.repository}: write OWNER/NAME, such as acme/forecaster")
    with explaining_hub(order.repository):
        _require_rights(api.whoami(), owner)
        info = _find(api, order.repository)
    tree = read_tree(api, order.repository) if info else {}
    card = read_file(folder / CARD, RECORD_BYTES).decode()
    licence = _licence_of(card, folder / CARD)
    base, texts = _check_licence(api, folder, card, licence, order)
    files = local_files(folder, manifest) | {text.name: text for text in texts if not (folder / text.name).exists()}
    missing = unlike(files.values(), tree)
    other = sorted(tree.keys() - files.keys() - HUBS_OWN)
    differing = sorted(file.name for file in missing if file.name in tree)
    if (other or differing) and not order.replace:
        raise RefusedError(
            f"{order.repository} holds something else ({', '.join([*differing, *other][:5])}): name another "
            "repository, or add --replace; the repository's history keeps what is replaced"
        )
    if info and not info.private and order.visibility == "private":
        raise RefusedError(
            f"{order.repository} is public: add --visibility public or gated, or make it private on the hub first"
        )
    # The hub's small step from an old release to this one: while files come, it has neither card nor manifest.
    stale = [name for name in differing if name in LAST]
    return Publication(
        order=order,
        manifest=manifest,
        files=files,
        licence=licence,
        base=base,
        address=f"{api.endpoint}/{order.repository}",
        exists=info is not None,
        missing=tuple(missing),
        removed=tuple(other + stale),
    )


def _require_rights(me: dict[str, Any], owner: str) -> None:
    owners = [me["name"], *(str(one["name"]) for one in me.get("orgs", []))]
    if owner not in owners:
        raise RefusedError(
            f"HF_TOKEN's account may write to {', '.join(owners)}, and not to {owner}: name one of those"
        )
    token = me.get("auth", {}).get("accessToken", {})
    if token.get("role") == "read":
        raise RefusedError("HF_TOKEN may only read: make a token with write access on the hub, and export it")


def _find(api: "HfApi", repository: str) -> "ModelInfo | None":
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        return api.model_info(repository)
    except GatedRepoError:
        raise
    except RepositoryNotFoundError:
        return None


def _licence_of(card: str, path: Path) -> str:
    """The licence that a card's metadata name."""
    try:
        metadata = yaml.safe_load(card.split("---\n")[1])
        return str(metadata["license"])
    except (yaml.YAMLError, IndexError, KeyError, TypeError) as error:
        raise DataError(f"{path} names no licence in its metadata: download the release again") from error


def _check_licence(
    api: "HfApi", folder: Path, card: str, licence: str, order: Order
) -> tuple[str | None, list[LocalFile]]:
    """The base's name, and the files with its terms, which have to travel with every copy."""
    origin = _read_base(folder)
    base = str(origin["name"]) if origin else None
    stated, texts = None, list[LocalFile]()
    if base and not is_folder(base):
        with explaining_hub(base):
            info = _find(api, base)
        if info:
            tags = [tag.partition(":")[2] for tag in info.tags or [] if tag.startswith("license:")]
            stated = tags[0] if tags else None
            revision = str((origin or {}).get("revision") or info.sha)
            names = [file.rfilename for file in info.siblings or [] if file.rfilename.startswith(TERMS_FILES)]
            texts = [
                bytes_file(name, read_small(api, base, revision, name, _TERMS_BYTES))
                for name in names
                if "/" not in name
            ]
    terms = require_licence(licence, base=base, stated=stated, named=order.licence)
    require_terms(terms, licence, repository=order.repository, card=card, open_to_all=order.visibility == "public")
    return base, texts


def _read_base(folder: Path) -> dict[str, Any] | None:
    """The base that a release was tuned from, by its provenance; None for one that was built from nothing."""
    path = folder / "provenance.json"
    try:
        found = read_json(read_file(path, RECORD_BYTES))
        return cast(dict[str, Any] | None, found["base"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} does not say which base the release was tuned from: download it again") from error
