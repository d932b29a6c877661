import collections
import pickle
import sys
from pathlib import Path, PosixPath
from types import ModuleType
from typing import Any

import pytest

from cortex.checkpoints.pickles import check_metadata
from cortex.errors import VerificationError


@pytest.fixture
def metadata(tmp_path: Path) -> Path:
    return tmp_path / ".metadata"


class Runs:
    def __init__(self, call: Any, *words: Any) -> None:
        self.what = call, words

    def __reduce__(self) -> Any:
        return self.what


def test_plain_values_and_what_metadata_is_made_of_are_taken(metadata: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tests/rehearsal/test_sharded.py` resumes with torch's own metadata."""
    name = "torch.distributed.checkpoint.metadata"
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:depth]), ModuleType(".".join(parts[:depth])))
    kind = type("Metadata", (), {"__module__": name})
    monkeypatch.setattr(sys.modules[name], "Metadata", kind, raising=False)
    held: Any = kind()
    held.state_dict_metadata = {"weight": [1, (2.0, "x"), b"y", None]}
    held.storage_meta = collections.OrderedDict(path=PosixPath("/somewhere"))
    metadata.write_bytes(pickle.dumps(held))
    check_metadata(metadata)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (pickle.dumps(Runs(eval, "1")), "builtins.eval"),
        (pickle.dumps(Runs(getattr, "x", "upper")), "builtins.getattr"),
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"ctorch\nload\n(S'x'\ntR.", "torch.load"),
        (b"ctorch.distributed.checkpoint.metadata\nos\n.", "metadata.os"),
        (b"ctorch\nSize.__class__\n.", "torch.Size.__class__"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"cpathlib\nos.system\n.", "pathlib.os.system"),
    ],
)
def test_a_name_that_no_metadata_needs_is_not_looked_up(data: bytes, named: str, metadata: Path) -> None:
    metadata.write_bytes(data)
    with pytest.raises(VerificationError, match="it would import") as refused:
        check_metadata(metadata)
    assert named in str(refused.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"\x80",
        b"\x80\x63.",
        b"garbage",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"0.",
        b"\x80\x04]\x94h\x09.",
        b"P1\n.",
        b"\x82\x01.",
        b"cos",
        b"I" + b"9" * 10_000 + b"\n.",
    ],
)
def test_what_is_no_pickle_is_refused_in_a_line(data: bytes, metadata: Path) -> None:
    metadata.write_bytes(data)
    with pytest.raises(VerificationError, match="is not a sharded checkpoint's metadata") as refused:
        check_metadata(metadata)
    assert "\n" not in str(refused.value)
