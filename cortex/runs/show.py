"""`cortex show`: a run's stages, scores and verdict, for people and for programs."""

import hashlib
from typing import Any

from rich.table import Table
from rich.text import Text

from cortex.artifacts.artifact import find, read_verified
from cortex.artifacts.manifest import Manifest
from cortex.artifacts.store import Store
from cortex.console import Console
from cortex.evaluation.record import JSON_NAME, Evaluated, Evaluation, label
from cortex.limits import EVALUATION_BYTES
from cortex.runs.context import artifact_prefix, load_run
from cortex.runs.run_state import release_path, stage_reports
from cortex.runs.stage_list import STAGES


def describe_run(store: Store, run: str) -> dict[str, Any]:
    """The mapping that `cortex show RUN --json` prints.

    Keys: run, profile, bucket, release, weights, stages (name, state, seconds, attempts, manifest), scores (by model or
    baseline: domain, loss, skill, skill_interval, valid_share and the domain's measures; for markets also brier,
    brier_skill and brier_skill_interval, which are the loss and the skill), judged (the model
    that the verdict is about), verdict. `release` is None until there is
    one; `weights` is one hash over the final model's weight files.
    """
    profile = load_run(store, run)
    names = [stage.name for stage in STAGES.values() if stage.wanted(profile)]
    evaluation = read_evaluation(store, run)
    export = find(store, artifact_prefix(run, "export"))
    released = find(store, artifact_prefix(run, "release"))
    return {
        "run": run,
        "profile": profile.name,
        "bucket": store.url,
        "release": release_path(store, run) if released else None,
        "weights": weights_digest(export) if export else None,
        "stages": [report.to_json() for report in stage_reports(store, run, names)],
        "scores": {name: _scores(evaluation, item) for name, item in evaluation.contenders.items()}
        if evaluation
        else {},
        "judged": evaluation.verdict.model if evaluation else None,
        "words": [evaluation.words.loss, evaluation.words.skill] if evaluation else [],
        "verdict": evaluation.verdict.headline if evaluation else None,
        "verdict_reason": evaluation.verdict.reason if evaluation else None,
    }


def main_score(described: dict[str, Any]) -> tuple[str, float, float | None]:
    """The score of a judged run: its name, its value, and the best attainable if that is known; from `describe_run`."""
    scores = described["scores"]
    best = scores["oracle"]["skill"] if "oracle" in scores else None
    return described["words"][1].lower().replace(" ", "_"), scores[described["judged"]]["skill"], best


def last_line(described: dict[str, Any]) -> str:
    """The last line of a rehearsal that passed; programs parse it."""
    name, value, best = main_score(described)
    domain = described["scores"][described["judged"]]["domain"]
    attainable = "n/a" if best is None else f"{best:.4f}"
    seconds = sum(stage["seconds"] for stage in described["stages"])
    return (
        f"rehearsal passed run={described['run']} domain={domain} score={name}:{value:.4f} best={attainable} "
        f"seconds={seconds:.0f}"
    )


def read_evaluation(store: Store, run: str) -> Evaluation | None:
    """The evaluation of a run, verified against its manifest; None until that stage is done.

    Raises:
        VerificationError: it differs from the published one.
    """
    prefix = artifact_prefix(run, "evaluate")
    manifest = find(store, prefix)
    if manifest is None:
        return None
    data = read_verified(store, prefix, manifest, JSON_NAME, EVALUATION_BYTES)
    return Evaluation.from_json(data, f"{store.url}/{prefix}/{JSON_NAME}")


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
    stages = Table("stage", "state", "seconds", "attempts", "manifest", box=None)
    for stage in described["stages"]:
        digest = (stage["manifest"] or "")[:12]
        stages.add_row(stage["name"], stage["state"], f"{stage['seconds']:.1f}", str(stage["attempts"]), digest)
    console.print(stages)
    if described["scores"]:
        scores = Table("model or baseline", *described["words"], "95% interval", "valid", box=None)
        for name, item in described["scores"].items():
            low, high = item["skill_interval"]
            scores.add_row(
                label(name),
                f"{item['loss']:.4f}",
                f"{item['skill']:+.3f}",
                f"{low:+.3f} to {high:+.3f}",
                f"{item['valid_share']:.1%}",
            )
        console.print(scores)
        reason = f". {described['verdict_reason']}"
        console.print(Text.assemble("verdict: ", (described["verdict"], "bold"), reason))
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
    console.print(described["sample"]["messages"][-1]["content"])


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
