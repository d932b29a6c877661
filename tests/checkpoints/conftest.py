"""A stage under way, over a folder or over a real S3 server, without a trainer's libraries."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cortex.artifacts.lease import Lease
from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.profiles.profile import Profile
from cortex.runs.context import RunContext
from cortex.runs.ledger import Ledger
from cortex.runs.run_secret import RunSecret
from tests.artifacts.conftest import client_environment, proxy, server  # noqa: F401  (fixtures)
from tests.artifacts.faulty import BUCKET

RUN = "run-1"

NewContext = Callable[[], RunContext]


@pytest.fixture(params=["folder", "bucket"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of the runs: a folder, or a bucket."""
    if request.param == "folder":
        return str(tmp_path / "bucket")
    request.getfixturevalue("proxy")
    return f"s3://{BUCKET}/kit"


@pytest.fixture
def new_context(kept: str, profile: Profile, tmp_path: Path) -> NewContext:
    """The run as the next process to take it over sees it, on the same machine."""
    return lambda: context_of(open_store(kept), profile, tmp_path / "work")


def context_of(store: Store, profile: Profile, work: Path, run: str = RUN) -> RunContext:
    lease, secret = Lease.take(store, run), RunSecret(run, "a secret of tests, 32 letters long")
    return RunContext(run, profile, store, work, lease, Ledger(store, run, lease.epoch), secret)
