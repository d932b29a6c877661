"""`cortex show`: a run's stages, scores and verdict, for people and for programs."""

import hashlib
from typing import Any, cast

from rich.table import Table
from rich.text import Text

from cortex.artifacts.artifact import find, read_verified
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.store import Store
from cortex.console import Console
from cortex.domains.domain import DESCRIPTION, Domain
from cortex.domains.mix_words import mix_lines
from cortex.evaluation.distillation_words import distillation_sentences
from cortex.evaluation.record import JSON_NAME, SHOWN, Evaluated, Evaluation, label
from cortex.limits import EVALUATION_BYTES, RECORD_BYTES, read_json
from cortex.runs.context import artifact_prefix, load_run
from cortex.runs.reports import report_folders
from cortex.runs.run_state import release_path, stage_reports
from cortex.runs.stage_list import STAGES
from cortex.runs.trial_record import search_words


def describe_run(store: Store, run: str) -> dict[str, Any]:
    """The mapping that `cortex show RUN --json` prints.

    Keys: run, profile, bucket, release, weights, files (of the data's source: name, sha256, rows, examples), stages
    (name, state, seconds, attempts, manifest), scores (by model or baseline: domain, loss, skill, skill_interval,
    valid_share and the domain's measures; for markets also brier, brier_skill and brier_skill_interval, which are the
    loss and the skill), judged (the model that the verdict is about), verdict, verdict_reason, words (the names of loss
    and skill), and domains: scores, judged, verdict, verdict_reason and words of each domain by its name. With several
    domains the first of these keys have `domain/` before a model's name, `judged` is None, and skill is shown where it
    is shown in every domain. A domain whose teacher had a system prompt has `distillation`, too: its record and its
    words. `search` is a sentence on the trial of a search that the run is, or None. `release` is None until there is
    one; `weights` is one hash over the final model's weight files.
    """
    profile = load_run(store, run)
    names = [stage.name for stage in STAGES.values() if stage.wanted(profile)]
    judged = {name: _judgement(found) for name, found in read_evaluations(store, run, profile.domain).items()}
    export = find(store, artifact_prefix(run, "export"))
    released = find(store, artifact_prefix(run, "release"))
    return {
        "run": run,
        "profile": profile.name,
        "bucket": store.url,
        "release": release_path(store, run) if released else None,
        "search": search_words(store, run),
        "weights": weights_digest(export) if export else None,
        "files": _source_files(store, run),
        "stages": [report.to_json() for report in stage_reports(store, run, names)],
        **_together(judged),
        "domains": judged,
    }


def main_score(judgement: dict[str, Any]) -> tuple[str, float, float | None]:
    """The score in one domain: its name, its value, and the best attainable if that is known.

    `judgement` is one of the `domains` of `describe_run`.
    """
    scores = judgement["scores"]
    best = scores["oracle"]["skill"] if "oracle" in scores else None
    return judgement["words"][1].lower().replace(" ", "_"), scores[judgement["judged"]]["skill"], best


def last_lines(described: dict[str, Any]) -> list[str]:
    """The last lines of a rehearsal that passed, one for each domain; programs parse them."""
    seconds = sum(stage["seconds"] for stage in described["stages"])
    lines: list[str] = []
    for domain, judgement in described["domains"].items():
        name, value, best = main_score(judgement)
        attainable = "n/a" if best is None else f"{best:.4f}"
        lines.append(
            f"rehearsal passed run={described['run']} domain={domain} score={name}:{value:.4f} best={attainable} "
            f"seconds={seconds:.0f}"
        )
    return lines


def read_evaluations(store: Store, run: str, domain: Domain) -> dict[str, Evaluation]:
    """The evaluations of a run, one for each domain by its name, verified; none until that stage is done.

    Raises:
        VerificationError: one differs from the published one.
    """
    prefix = artifact_prefix(run, "evaluate")
    manifest = find(store, prefix)
    if manifest is None:
        return {}
    found: dict[str, Evaluation] = {}
    for name, folder in report_folders(domain).items():
        data = read_verified(store, prefix, manifest, f"{folder}{JSON_NAME}", EVALUATION_BYTES)
        found[name] = Evaluation.from_json(data, f"{store.url}/{prefix}/{folder}{JSON_NAME}")
    return found


def _source_files(store: Store, run: str) -> list[dict[str, Any]]:
    """The files that a run's examples were made from, by the verified description of its dataset."""
    prefix = artifact_prefix(run, "data")
    manifest = find(store, prefix)
    if manifest is None or not any(entry.name == DESCRIPTION for entry in manifest.files):
        return []
    described = read_json(read_verified(store, prefix, manifest, DESCRIPTION, RECORD_BYTES))
    return _files_of(cast(dict[str, Any], described).get("source", {}))


def _files_of(source: dict[str, Any]) -> list[dict[str, Any]]:
    """The files that a dataset's source counts, also those of each domain's in a source of several."""
    own = [file for file in source.get("files", []) if "rows" in file]
    parts = [cast(dict[str, Any], part) for part in source.values() if isinstance(part, dict)]
    return own + [file for part in parts for file in _files_of(part)]


def weights_digest(export: Manifest) -> str:
    """One SHA-256 over the names and hashes of the final model's weight files."""
    total = hashlib.sha256()
    for entry in export.files:
        if entry.name.startswith("model/") and entry.name.endswith(".safetensors"):
            total.update(f"{entry.sha256}  {entry.name}\n".encode())
    return total.hexdigest()


def print_run(described: dict[str, Any], console: Console) -> None:
    """Print the result of `describe_run` for people."""
    where = f"  profile {described['profile']}  in {described['bucket']}"
    console.print(Text.assemble((described["run"], "bold"), where))
    if described["search"]:
        console.print(described["search"], soft_wrap=True, markup=False)
    stages = Table("stage", "state", "seconds", "attempts", "manifest", box=None)
    for stage in described["stages"]:
        digest = (stage["manifest"] or "")[:12]
        stages.add_row(stage["name"], stage["state"], f"{stage['seconds']:.1f}", str(stage["attempts"]), digest)
    console.print(stages)
    for stage in described["stages"]:
        if "misled" in stage:
            console.print(f"{stage['name']}: {stage['misled']}", markup=False)
    print_files(described["files"], console)
    for domain, judgement in described["domains"].items():
        if len(described["domains"]) > 1:
            console.print(Text(domain, "bold"))
        scores = Table("model or baseline", *judgement["words"], "95% interval", "valid", box=None)
        for name, item in judgement["scores"].items():
            low, high = item["skill_interval"]
            scores.add_row(
                label(name),
                f"{item['loss']:.4f}",
                f"{item['skill']:+.3f}",
                f"{low:+.3f} to {high:+.3f}",
                f"{item['valid_share']:.1%}",
            )
        console.print(scores)
        for sentence in judgement.get("distillation", {}).get("words", ()):
            console.print(sentence, markup=False)
        reason = f". {judgement['verdict_reason']}"
        console.print(Text.assemble("verdict: ", (judgement["verdict"], "bold"), reason))
    if described["release"]:
        signed = f" ({described['signed']})" if "signed" in described else ""
        console.print(f"release: {described['release']}{signed}", soft_wrap=True, markup=False)


def print_dataset(described: dict[str, Any], console: Console) -> None:
    """Print the result of `describe_dataset` for people."""
    console.print(
        f"{described['examples']:,} examples of {described['summary']}, manifest {described['manifest'][:12]}",
        soft_wrap=True,
    )
    known = ("examples", "first", "last")
    further = [key for key in next(iter(described["splits"].values())) if key not in known]
    table = Table("split", "examples", "first", "last", *further, box=None)
    for name, split in described["splits"].items():
        values = [f"{split[key]:.1%}" if isinstance(split[key], float) else str(split[key]) for key in further]
        table.add_row(name, f"{split['examples']:,}", split["first"], split["last"], *values)
    console.print(table)
    print_files(_files_of(described["source"]), console)
    for line in mix_lines(described.get("mixing", {})):
        console.print(line, soft_wrap=True, markup=False)
    console.print(described["sample"]["messages"][-1]["content"])


def print_files(files: list[dict[str, Any]], console: Console) -> None:
    """Print the files that a dataset was made from, with the rows and examples of each."""
    if not files:
        return
    table = Table("file", "sha256", "rows", "examples that draw on it", box=None)
    for file in files:
        table.add_row(file["name"], file["sha256"][:12], f"{file['rows']:,}", f"{file['examples']:,}")
    console.print(table)


def print_account(account: dict[str, Any], console: Console) -> None:
    """Print the use of each column of a user's files, with the reason; then notes on what was left out or merged.

    Columns that are used alike share a line.
    """
    alike: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for column in account["columns"]:
        why = "" if column["role"] == "price" else column["why"]
        alike.setdefault((column["role"], why, tuple(column["files"])), []).append(column["name"] or "''")
    table = Table("column", "serves as", "why", "file", box=None)
    for (role, why, files), names in alike.items():
        file = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
        table.add_row(", ".join(names), role, why, file)
    if alike:
        console.print(table)
    for note in account["notes"]:
        console.print(note, soft_wrap=True)


def _judgement(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "scores": {name: _scores(evaluation, item) for name, item in evaluation.contenders.items()},
        "judged": evaluation.verdict.model,
        "words": [evaluation.words.loss, evaluation.words.skill],
        "verdict": evaluation.verdict.headline,
        "verdict_reason": evaluation.verdict.reason,
        **_distilled(evaluation),
    }


def _distilled(evaluation: Evaluation) -> dict[str, Any]:
    if evaluation.distillation is None:
        return {}
    words = list(distillation_sentences(evaluation))
    return {"distillation": {**evaluation.distillation.model_dump(mode="json"), "words": words}}


def _together(judged: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The keys of one judgement for the whole run: of its only domain, or of all domains together."""
    if len(judged) == 1:
        return next(iter(judged.values()))
    scores = {f"{name}/{model}": item for name, found in judged.items() for model, item in found["scores"].items()}
    verdict = reason = None
    if judged:
        poor = [name for name, found in judged.items() if found["verdict"] != SHOWN]
        verdict = judged[poor[0]]["verdict"] if poor else SHOWN
        reason = "; ".join(f"{name}: {found['verdict_reason']}" for name, found in judged.items())
    return {"scores": scores, "judged": None, "words": [], "verdict": verdict, "verdict_reason": reason}


def _scores(evaluation: Evaluation, item: Evaluated) -> dict[str, Any]:
    interval = item.intervals["skill"]
    found: dict[str, Any] = {
        "domain": evaluation.data.domain,
        "loss": item.loss,
        "skill": item.skill,
        "skill_interval": [interval.low, interval.high],
        "valid_share": item.valid_share,
        **item.measures,
    }
    # Loss and skill also appear under the domain's own names, such as `brier` and `brier_skill`.
    loss, skill = (word.lower().removesuffix(" score").replace(" ", "_") for word in _names(evaluation))
    return found | {loss: item.loss, skill: item.skill, f"{skill}_interval": found["skill_interval"]}


def _names(evaluation: Evaluation) -> tuple[str, str]:
    return evaluation.words.loss, evaluation.words.skill
