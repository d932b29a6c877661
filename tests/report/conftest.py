"""Runs that several tests read."""

import pytest

from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run
from tests.report.made_run import make_run


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A run whose model knows the truth, one whose model is less sure of it, and one that has only begun."""
    folder = tmp_path_factory.mktemp("made")
    store, profile = open_store(str(folder / "bucket")), load_profile("rehearsal")
    make_run(store, profile, folder / "one")
    make_run(store, profile.model_copy(update={"seed": 8}), folder / "two", run="r2", noise=0.3)
    create_run(store, "r3", profile)
    return store
