"""The verb that writes a run's dataset for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from cortex.verbs.options import Run, read_path

app = typer.Typer()


@app.command("export")
def data_export(
    run_id: Run,
    to: Annotated[
        Path,
        typer.Option("--to", parser=read_path, metavar="PATH", help="A folder that does not exist yet, or is empty."),
    ],
    licence: Annotated[
        str,
        typer.Option(
            "--license",
            metavar="NAME",
            help="The hub's identifier of a licence, such as cc-by-4.0, if the sources' terms let you give one.",
        ),
    ] = "other",
) -> None:
    """Write a run's dataset for Hugging Face `datasets` and for Croissant: parquet files by split, with a card."""
    from cortex.artifacts.artifact import fetch
    from cortex.artifacts.open_store import open_store
    from cortex.domains.dataset_export import Exported, export_dataset
    from cortex.runs.context import artifact_prefix, load_run
    from cortex.settings import Settings

    settings = Settings()
    store = open_store(settings.bucket_url)
    profile = load_run(store, run_id)
    data = fetch(store, artifact_prefix(run_id, "data"), settings.home / "cache")
    dataset = Exported(data.path, profile.domain, profile.name, licence, data.digest)
    for file in export_dataset(dataset, to):
        print(f"{to / file.path}: {file.words}, {file.size:,} bytes")
    print(f"{to}: read its README.md before you share it: it says whose data these are, and on what terms")
