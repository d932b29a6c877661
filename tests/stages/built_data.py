"""A run whose data are built, for tests of the stages behind it."""

from pathlib import Path

from cortex.artifacts.artifact import publish
from cortex.artifacts.open_store import open_store
from cortex.domains.dataset import write_dataset
from cortex.profiles.profile import Profile
from cortex.runs.context import RunContext, artifact_prefix
from cortex.settings import Settings
from tests.checkpoints.conftest import RUN, context_of


def with_data(profile: Profile, folder: Path) -> RunContext:
    """The context of a run of a profile, with its data published in a bucket in `folder`."""
    store, data = open_store(str(folder / "bucket")), folder / "data"
    data.mkdir()
    write_dataset(profile.domain, 0, Settings(), data)
    publish(data, store, artifact_prefix(RUN, "data"), kind="data", code="")
    return context_of(store, profile, folder / "work")
