"""The kit as a library: a run's first stage, the artifact that it made, and proof that nobody changed it since."""

from cortex.artifacts.artifact import require
from cortex.artifacts.open_store import open_store
from cortex.artifacts.verify import verify
from cortex.domains.dataset import describe_dataset
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import artifact_prefix, create_run, new_run_id
from cortex.settings import Settings
from cortex.stages.runner import run_stages


def main() -> None:
    # A shipped profile, with one value changed, as `--set` does on the command line.
    profile = load_profile("rehearsal", sets=["domain.source.days=800"])
    print(f"{profile.name}: {profile.domain.kind}, seed {profile.seed}")

    # A run lives in a bucket: CORTEX_BUCKET, or a folder in .cortex.
    settings = Settings()
    store = open_store(settings.bucket_url)
    run = new_run_id(profile)
    create_run(store, run, profile)

    # A stage does nothing that is done already, so that calling it again is harmless.
    for stage, made in run_stages(["data"], run, profile, store, settings):
        print(f"{stage}: {'done' if made else 'nothing to do'}")

    # An artifact is what its manifest lists: files with their hashes, and the hashes of its inputs.
    prefix = artifact_prefix(run, "data")
    manifest = require(store, prefix)
    print(f"{prefix}: {len(manifest.files)} files, made by {manifest.code}")

    folder = store.local_path(prefix)
    if folder:
        print(verify(folder))
        for split, found in describe_dataset(folder)["splits"].items():
            print(f"{split}: {found['examples']:,} examples")


if __name__ == "__main__":
    main()
