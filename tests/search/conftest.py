"""Stores of one test, by name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store


@pytest.fixture
def open_folder(tmp_path: Path) -> Callable[[str], Store]:
    return lambda name: open_store(str(tmp_path / name / "bucket"))
