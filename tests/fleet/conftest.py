from pathlib import Path

import pytest

from cortex.artifacts.artifact import Artifact, publish
from cortex.artifacts.folder_store import FolderStore
from tests.artifacts.strategies import write

RUN = "demo-1"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "bucket")


@pytest.fixture
def release(store: FolderStore, tmp_path: Path) -> Artifact:
    """A run whose release was made from a model, which was made from a dataset and a base from elsewhere."""
    prefix = f"runs/{RUN}"
    data = publish(
        write(tmp_path / "d", {"x": b"1"}), store, f"{prefix}/data/artifact", kind="dataset", seeds={"data": 7}
    )
    model = publish(
        write(tmp_path / "m", {"w": b"2"}),
        store,
        f"{prefix}/sft/artifact",
        kind="model",
        inputs={"data": data.digest, "base": "b" * 64},
    )
    return publish(
        write(tmp_path / "r", {"weights": b"w" * 5000, "card.md": b"# card"}),
        store,
        f"{prefix}/release",
        kind="release",
        inputs={"model": model.digest, "data": data.digest},
    )
