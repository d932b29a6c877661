import hashlib
import threading
from pathlib import Path

import pytest

from cortex.artifacts.hashing import hash_file, hash_files
from cortex.errors import DataError


def test_hashes_and_sizes_in_the_order_given(tmp_path: Path) -> None:
    data = [b"", b"a", b"b" * 3_000_000]
    paths = [tmp_path / str(i) for i in range(3)]
    for path, each in zip(paths, data, strict=True):
        path.write_bytes(each)
    found = hash_files(paths, workers=2)
    assert [(each.size, each.sha256) for each in found] == [(len(d), hashlib.sha256(d).hexdigest()) for d in data]


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match="link"):
        hash_file(tmp_path / "link")


def test_a_file_that_changes_under_the_reader_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(bytes(64 << 20))
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab") as file:
            while not stop.is_set():
                file.write(b"x")
                file.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        with pytest.raises(DataError, match="changed while it was read"):
            hash_file(path)
    finally:
        stop.set()
        writer.join()
