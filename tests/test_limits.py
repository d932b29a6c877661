import json
import os
from pathlib import Path

import pytest

from cortex.limits import JSON_LEVELS, TooLargeError, read_file, read_json


@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_a_file_up_to_its_cap_is_read_whole(tmp_path: Path, size: int) -> None:
    (tmp_path / "x").write_bytes(b"a" * size)
    assert read_file(tmp_path / "x", 100) == b"a" * size


def test_a_larger_file_a_link_a_pipe_and_a_device_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(TooLargeError, match="large has more than the 100 bytes"):
        read_file(tmp_path / "large", 100)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("pipe", "link", "."):
        with pytest.raises(OSError, match=r"no file|symbolic links"):
            read_file(tmp_path / name, 100)
    with pytest.raises(OSError, match="no file"):
        read_file(Path("/dev/zero"), 100)


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def test_json_is_read_as_deep_as_any_of_ours_and_no_deeper() -> None:
    assert read_json(nested(JSON_LEVELS)) == json.loads(nested(JSON_LEVELS))
    for levels in (JSON_LEVELS + 1, 900, 100_000):
        with pytest.raises(ValueError, match="levels deep"):
            read_json(nested(levels))


@pytest.mark.parametrize("text", ["NaN", '{"a": [Infinity]}', "-Infinity", "", "{", "1" * 5000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_json(text)
