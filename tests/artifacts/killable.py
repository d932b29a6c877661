"""Work for a process to be killed. It is imported before the fork, so that the work begins at once."""

import os
from pathlib import Path

from cortex.artifacts.artifact import publish, require
from cortex.artifacts.receiving import receive
from cortex.artifacts.remote_store import RemoteStore
from tests.artifacts.faulty import BUCKET


def upload(environment: dict[str, str], folder: Path) -> None:
    publish(folder, connect(environment), "whole", kind="model")


def download(environment: dict[str, str], target: Path) -> None:
    store = connect(environment)
    receive(store, "whole", require(store, "whole"), target)


def connect(environment: dict[str, str]) -> RemoteStore:
    os.environ.update(environment)
    return RemoteStore(f"s3://{BUCKET}/kit")
