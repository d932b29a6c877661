"""Releases whose weights are an adapter, as a run publishes them, but for the training."""

import json
from pathlib import Path

from cortex.artifacts.artifact import publish
from cortex.artifacts.folder_store import FolderStore
from cortex.bases.base_model import folder_manifest
from cortex.domains.dataset import describe_splits
from cortex.domains.domain import DESCRIPTION
from cortex.domains.markets.domain import Markets
from cortex.models.copies import ExportSummary, write_summary
from cortex.profiles.profile import Profile
from cortex.profiles.profile_file import load_profile
from cortex.settings import Settings
from tests.serving.gateway_program import DOMAIN
from tests.serving.judged_market import judge


def release_adapter(folder: Path, base: Path, revision: str | None = None, name: str = "open/model") -> Path:
    """Make a release of FOLDER, which holds `adapter`, trained on a base: of a folder, or of the hub at a revision.

    It lies in a folder beside it, which is returned.
    """
    domain = Markets.model_validate({"kind": "markets", **DOMAIN})
    built = domain.build(0, Settings())
    described = {**built.description(), "splits": describe_splits(built.examples.lazy(), domain)}
    (folder / DESCRIPTION).write_text(json.dumps(described, default=str), encoding="utf-8")
    known = name if revision else str(base)
    trained = {"model": {"base": known, "adapter": {"r": 2}}, "domain": domain.model_dump()}
    profile = Profile.model_validate(load_profile("rehearsal").model_dump() | trained)
    (folder / "profile.json").write_bytes(profile.to_json())
    evaluation = judge(domain, built.examples, "mom7", 0.03).evaluation
    (folder / "evaluation.json").write_text(evaluation.to_json(), encoding="utf-8")
    pin = folder_manifest(str(base), {"base": name, "revision": revision} if revision else {})
    provenance = {"base": {"name": known, "revision": revision, "manifest": pin.digest}}
    (folder / "provenance.json").write_text(json.dumps(provenance), encoding="utf-8")
    write_summary(ExportSummary((), 0.0), folder)
    store = FolderStore(folder.parent / "published")
    return publish(folder, store, f"runs/{folder.name}/release", kind="release").path
