"""Origins that a release names."""

from pathlib import Path

import pytest

from cortex.artifacts.artifact import Artifact
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.store import Store
from cortex.bases.base_pin import bind_pin
from cortex.profiles.profile import Profile
from cortex.stages.release import _models, _provenance
from tests.checkpoints.conftest import context_of

PIN = Manifest(kind="base", files=(), meta={"base": "open/model", "revision": "0" * 40})


@pytest.mark.parametrize(
    ("pin", "revision", "card"),
    [
        (PIN, "0" * 40, {"base revision": "0" * 40, "base manifest": PIN.digest}),
        (Manifest(kind="base", files=()), None, {"base manifest": Manifest(kind="base", files=()).digest}),
    ],
    ids=["of the hub", "in a folder"],
)
def test_it_names_its_base_by_revision_and_digest(
    profile: Profile, store: Store, tmp_path: Path, pin: Manifest, revision: str | None, card: dict[str, str]
) -> None:
    based = Profile.model_validate(profile.model_dump() | {"model": {"base": "open/model"}})
    context = context_of(store, based, tmp_path)
    made = Artifact(tmp_path, Manifest(kind="x", files=(), inputs={"base": pin.digest}))
    context.seen.update(dict.fromkeys(("data", "label", "sft", "dpo", "grpo", "export", "evaluate"), made))
    bind_pin(store, context.secret, pin)
    provenance = _provenance(context)
    assert provenance["base"] == {"name": "open/model", "revision": revision, "manifest": pin.digest}
    assert provenance["artifacts"]["sft"]["inputs"] == {"base": pin.digest}
    assert _models(provenance) == card


def test_a_model_from_nothing_names_none(profile: Profile, store: Store, tmp_path: Path) -> None:
    context = context_of(store, profile, tmp_path)
    made = Artifact(tmp_path, Manifest(kind="x", files=()))
    context.seen.update(dict.fromkeys(("data", "label", "sft", "dpo", "grpo", "export", "evaluate"), made))
    provenance = _provenance(context)
    assert provenance["base"] is None and not _models(provenance)
