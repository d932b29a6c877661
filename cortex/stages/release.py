"""release: the folder that a user downloads, complete in itself."""

import json
import shutil
from pathlib import Path
from typing import Any

from cortex.artifacts.code_version import code_version
from cortex.bases.base_pin import KIND, TEACHER, find_pin
from cortex.bases.licences import notices_of
from cortex.domains.dataset_card import CARD, RELEASED_CARD
from cortex.domains.domain import DESCRIPTION
from cortex.evaluation.card import CardDetails, model_card
from cortex.evaluation.card_words import CardWords
from cortex.evaluation.record import HTML_NAME, JSON_NAME, Evaluation
from cortex.limits import EVALUATION_BYTES, read_file
from cortex.models.copies import SUMMARY
from cortex.runs.context import RunContext
from cortex.runs.reports import report_folders
from cortex.runs.stage_list import STAGES, trainings
from cortex.runs.training_facts import training_stage
from cortex.stages.released import log_copy_losses, released_folders


def run(context: RunContext, output: Path) -> None:
    export, judged = context.artifact("export").path, context.artifact("evaluate").path
    folders = released_folders(export, context.profile.export.release)
    for name in folders:
        shutil.copytree(export / name, output / name)
    shutil.copyfile(export / SUMMARY, output / SUMMARY)
    # A service needs it to ask as the training did: names and units of the features, and the symbols.
    data = context.artifact("data").path
    shutil.copyfile(data / DESCRIPTION, output / DESCRIPTION)
    if (data / CARD).exists():  # runs whose data an earlier version built have none
        shutil.copyfile(data / CARD, output / RELEASED_CARD)
    reports: list[tuple[Evaluation, CardWords]] = []
    for name, folder in report_folders(context.profile.domain).items():
        (output / folder).mkdir(exist_ok=True)
        for file in (JSON_NAME, HTML_NAME):
            shutil.copyfile(judged / folder / file, output / folder / file)
        file = judged / folder / JSON_NAME
        evaluation = Evaluation.from_json(read_file(file, EVALUATION_BYTES), str(file))
        reports.append((evaluation, context.profile.domain.parts()[name].card()))
    (output / "profile.json").write_bytes(context.profile.to_json())
    provenance = _provenance(context)
    (output / "provenance.json").write_text(json.dumps(provenance, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (output / "README.md").write_text(model_card(_card(context, folders, provenance), reports), encoding="utf-8")
    for evaluation, _ in reports:
        log_copy_losses(evaluation)
    context.progress(1, 1)


def _provenance(context: RunContext) -> dict[str, Any]:
    """Every artifact that led to this release: its digest, and those of its inputs."""
    stages = [stage.name for stage in STAGES.values() if stage.wanted(context.profile) and stage.name != "release"]
    manifests = {name: context.artifact(name).manifest for name in stages}
    return {
        "profile": context.profile.digest,
        "base": _base(context),
        **_teacher(context),
        "code": code_version(),
        "artifacts": {
            name: {
                "manifest": manifest.digest,
                "inputs": manifest.inputs,
                "code": manifest.code,
                "seeds": manifest.seeds,
            }
            for name, manifest in manifests.items()
        },
    }


def _card(context: RunContext, folders: dict[str, str], provenance: dict[str, Any]) -> CardDetails:
    profile = context.profile
    hashes = {f"{name} artifact": entry["manifest"] for name, entry in provenance["artifacts"].items()}
    return CardDetails(
        title=profile.name,
        license=profile.model.licence,
        notices=notices_of(profile.model.licence) if profile.model.base else (),
        base_model=profile.model.base,
        profile={
            "name": profile.name,
            "weights": profile.model.adapter.kind if profile.model.adapter else "full fine-tuning",
            "hardware": f"{profile.hardware.gpus} x {profile.hardware.accelerator}"
            if profile.hardware.device == "cuda"
            else "CPU",
            "seed": profile.seed,
        },
        training=[training_stage(profile, stage) for stage in trainings(profile)],
        folders=folders,
        provenance={"code": provenance["code"], "profile": provenance["profile"], **_models(provenance), **hashes},
    )


def _base(context: RunContext) -> dict[str, Any] | None:
    """The base that the run is pinned to; None for a base that was built from nothing."""
    name = context.profile.model.base
    pin = find_pin(context.store, context.secret) if name else None
    return {"name": name, "revision": pin.meta.get("revision"), "manifest": pin.digest} if pin else None


def _teacher(context: RunContext) -> dict[str, Any]:
    """The model that the run imitated by distillation, as it is pinned; empty without distillation."""
    distill = context.profile.distill
    pin = find_pin(context.store, context.secret, TEACHER) if distill else None
    if distill is None or pin is None:
        return {}
    teacher = distill.teacher
    found = {"name": teacher.base or teacher.run, "revision": pin.meta.get("revision"), "manifest": pin.digest}
    return {"teacher": found}


def _models(provenance: dict[str, Any]) -> dict[str, str]:
    """The entries on the card about the base, and the teacher of a distillation, as far as the run has them."""
    found: dict[str, str] = {}
    for kind in (KIND, TEACHER):
        model = provenance.get(kind)
        if model:
            found |= {f"{kind} revision": model["revision"]} if model["revision"] else {}
            found[f"{kind} manifest"] = model["manifest"]
    return found
