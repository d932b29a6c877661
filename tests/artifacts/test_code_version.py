import re
from pathlib import Path

import cortex
from cortex.artifacts.code_version import code_version, source_hash


def test_names_the_version_and_the_sources() -> None:
    assert re.fullmatch(rf"{re.escape(cortex.__version__)}\+[0-9a-f]{{12}}", code_version())


def test_only_sources_count(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1")
    before = source_hash(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"1")
    assert source_hash(tmp_path) == before
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    renamed = source_hash(tmp_path)
    (tmp_path / "b.py").write_text("x = 2")
    assert len({before, renamed, source_hash(tmp_path)}) == 3
