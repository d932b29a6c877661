"""The digests that machines start from: written whole, read back, and refused where they are no digests."""

import json
from pathlib import Path

import pytest

from cortex.errors import ConfigError
from cortex.fleet.tasks.image_digests import read_digests
from scripts.images.push import write_digests

DATA = f"registry.example/kit/data@sha256:{'a' * 64}"
SFT = f"registry.example/kit/sft@sha256:{'b' * 64}"


def test_what_is_pushed_is_read_back_beside_what_was_pushed_before(tmp_path: Path) -> None:
    path = tmp_path / "digests.json"
    assert read_digests(path) == {}
    write_digests({"sft": SFT}, path)
    write_digests({"data": DATA}, path)
    assert read_digests(path) == json.loads(path.read_text()) == {"data": DATA, "sft": SFT}
    write_digests({"data": SFT}, path)
    assert read_digests(path) == {"data": SFT, "sft": SFT}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a mapping"),
        (
            '{"data": "registry.example/kit/data:latest"}',
            "is 'registry.example/kit/data:latest', and not <repository>@sha256:<digest>",
        ),
        ('{"data": 7}', "data is 7, and not <repository>@sha256:<digest>"),
        (json.dumps({"data": DATA[:-1]}), "and not <repository>@sha256:<digest>"),
        (json.dumps({"data": f"{DATA}, and more"}), "and not <repository>@sha256:<digest>"),
        ('{"data": ' + "[" * 9999, "nested more than"),
    ],
)
def test_what_is_no_digest_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "digests.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="make push") as caught:
        read_digests(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)") as caught:
        read_digests(tmp_path)
    assert str(tmp_path) in str(caught.value)
