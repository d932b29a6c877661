import resource
from mmap import mmap
from pathlib import Path
from random import Random

import pytest

from cortex.artifacts.appending import AT_ONCE, BLOCK, GrowingFile

DATA = Random(5).randbytes(3 * AT_ONCE + 777)


def own_pages(data: bytes) -> memoryview:
    pages = mmap(-1, len(data))
    pages.write(data)
    return memoryview(pages)


@pytest.mark.parametrize("kept", [0, 1, BLOCK, AT_ONCE, AT_ONCE + 13])
@pytest.mark.parametrize("step", [777, AT_ONCE, AT_ONCE + BLOCK, len(DATA)])
@pytest.mark.parametrize("fit", [True, False], ids=["own pages", "any memory"])
def test_every_byte_arrives_in_order(tmp_path: Path, kept: int, step: int, fit: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA[:kept])
    with GrowingFile(path) as file:
        assert file.rewind() == (kept > 0)
        assert b"".join(iter(lambda: file.read(100_000), b"")) == DATA[:kept]
        for at in range(kept, len(DATA), step):
            piece = DATA[at : at + step]
            file.append(own_pages(piece) if fit else piece)
        file.sync()
    assert path.read_bytes() == DATA


def test_what_was_written_can_be_read_and_replaced(tmp_path: Path) -> None:
    with GrowingFile(tmp_path / "file") as file:
        file.append(own_pages(DATA[:AT_ONCE]))
        assert file.rewind() and file.read(AT_ONCE) == DATA[:AT_ONCE]
        file.clear()
        assert not file.rewind() and file.read(1) == b""
        file.append(own_pages(DATA[AT_ONCE : 2 * AT_ONCE]))
    assert (tmp_path / "file").read_bytes() == DATA[AT_ONCE : 2 * AT_ONCE]


@pytest.mark.parametrize("room", [2 * AT_ONCE - 1, 2 * AT_ONCE - BLOCK])
def test_a_disk_that_takes_only_half_of_the_last_piece_is_an_error(tmp_path: Path, room: int) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with GrowingFile(tmp_path / "file") as file:
            file.append(own_pages(DATA[:AT_ONCE]))
            with pytest.raises(OSError, match="large"):
                file.append(own_pages(DATA[AT_ONCE : 2 * AT_ONCE]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic link"):
        GrowingFile(tmp_path / "link")
