"""`cortex audit`: the proof that a dataset knows nothing of its future, and the skill that it can show."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cortex.errors import DataError, UsageError
from cortex.text import json_text
from cortex.verbs.data_image import lacks_clients, run_in_data_image, set_options
from cortex.verbs.options import AsJson, Set

if TYPE_CHECKING:
    from cortex.auditing.audit import Audited
    from cortex.settings import Settings

app = typer.Typer()


@app.command("audit")
def audit_command(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET", help="A dataset's folder, a run's id, or a profile, whose examples are made anew."
        ),
    ],
    profile: Annotated[
        str | None, typer.Option(help="For a folder that has no run's profile beside it: a profile's name or path.")
    ] = None,
    sets: Set = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild/--no-rebuild", help="Build the examples again, with another future.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Audit a dataset: exits 0, or 65 with a line for each finding.

    Examples are built again after what became known later is shifted, perturbed and truncated, and must be the same.
    Clients that this program's environment lacks are those of the data image's.
    """
    from cortex.auditing.audit import AuditDepth, audit_dataset
    from cortex.auditing.audit_text import print_audit
    from cortex.console import Console
    from cortex.domains.domain import Workspace
    from cortex.settings import Settings

    settings = Settings()
    folder, audited = _find(dataset, profile, sets, settings, rebuild)
    if (rebuild or folder is None) and lacks_clients(audited.domain):
        options = ["--profile", profile] if profile else []
        words = ["audit", dataset, *options, *set_options(sets), *["--no-rebuild"] * (not rebuild)]
        raise typer.Exit(run_in_data_image([*words, *["--json"] * as_json], settings))
    with tempfile.TemporaryDirectory(prefix="cortex-audit-") as scratch:
        workspace = Workspace(Path(scratch))
        folder = folder or _build(audited, Path(scratch, "dataset"))
        audit = audit_dataset(folder, audited, AuditDepth() if rebuild else None, workspace)
    if as_json:
        print(json_text(audit.to_json()))
    else:
        print_audit(audit, Console())
    if audit.findings:
        raise typer.Exit(DataError.exit_code)


def _find(
    dataset: str, profile: str | None, sets: list[str] | None, settings: "Settings", rebuild: bool
) -> "tuple[Path | None, Audited]":
    """The folder of the examples, None where they are to be made, and what they were made with."""
    from cortex.artifacts.artifact import fetch
    from cortex.artifacts.open_store import open_store
    from cortex.artifacts.verify import verify
    from cortex.auditing.audit import Audited
    from cortex.paths import expand
    from cortex.profiles.profile import Profile
    from cortex.profiles.profile_file import load_profile
    from cortex.runs.context import artifact_prefix, list_runs, load_run

    def of(resolved: Profile) -> "Audited":
        return Audited(resolved.domain, resolved.seed, settings)

    folder = Path(expand(dataset))
    if folder.is_dir():
        verify(folder).require()
        if profile:
            return folder, of(load_profile(profile, sets=sets or ()))
        # A run's data lie in runs/<run>/data/artifact of its bucket.
        beside = folder.absolute().parent.parent / "profile.json"
        if beside.is_file():
            return folder, of(Profile.from_json(beside.read_bytes(), str(beside)))
        if rebuild:
            raise UsageError(f"{folder} does not say how it was built: name its profile by --profile, or --no-rebuild")
        return folder, Audited(_plain_domain(folder), 0, settings)
    if not dataset.endswith((".yaml", ".yml")):
        store = open_store(settings.bucket_url)
        if dataset in list_runs(store):
            place = settings.home.absolute() / "audits"
            return fetch(store, artifact_prefix(dataset, "data"), place).path, of(load_run(store, dataset))
    return None, of(load_profile(dataset, sets=sets or ()))


def _plain_domain(folder: Path) -> Any:
    """The domain of a dataset by its kind alone, which suffices to read its examples."""
    from cortex.domains.dataset_description import read_description
    from cortex.profiles.profile_file import read_section

    kind = str(read_description(folder).get("domain"))
    if kind == "mixture":
        raise UsageError(f"{folder} holds several domains: name its profile by --profile")
    return read_section(kind, {})


def _build(audited: "Audited", out: Path) -> Path:
    """Make the examples of a profile, as its data stage does."""
    from cortex.console import Console
    from cortex.domains.build_progress import progress_bar
    from cortex.domains.dataset import build_dataset

    with progress_bar(Console(stderr=True)) as on_progress:
        build_dataset(audited.domain, audited.seed, audited.settings, out, on_progress)
    return out
