import hashlib
import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.artifacts.manifest import MANIFEST, FileEntry, Manifest
from cortex.errors import DataError, VerificationError
from tests.artifacts.strategies import manifests
from tests.artifacts.test_file_names import HOSTILE

EMPTY = hashlib.sha256(b"").hexdigest()


def entry(name: str) -> FileEntry:
    return FileEntry(name=name, size=0, sha256=EMPTY)


@given(manifests())
def test_bytes_and_back(manifest: Manifest) -> None:
    again = Manifest.parse(manifest.data, "here")
    assert again == manifest
    assert again.digest == manifest.digest == hashlib.sha256(manifest.data).hexdigest()


@given(manifests(), st.randoms(use_true_random=False))
def test_digest_knows_no_order(manifest: Manifest, random: Random) -> None:
    fields = manifest.model_dump()
    files = list(fields["files"])
    random.shuffle(files)
    shuffled = dict(sorted(fields.items(), key=lambda _: random.random())) | {"files": files}
    assert Manifest.model_validate(shuffled).digest == manifest.digest


@given(manifests(), st.data())
def test_any_changed_byte_is_refused_or_another_manifest(manifest: Manifest, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(manifest.data) - 1))
    flipped = bytearray(manifest.data)
    flipped[at] ^= data.draw(st.integers(1, 255))
    try:
        other = Manifest.parse(bytes(flipped), "here")
    except VerificationError:
        return
    assert other.digest != manifest.digest


def test_digest_is_pinned() -> None:
    """A change of the canonical form would orphan every artifact there is."""
    manifest = Manifest(kind="model", files=(entry("b"), entry("a")), seeds={"data": 7}, meta={"loss": 0.25})
    assert [file.name for file in manifest.files] == ["a", "b"]
    assert manifest.digest == "4bb955f781fdb750691901d07d9ae89c0b09bd8c99e2fbb329c18a9500e49238"


def test_keys_of_a_newer_version_are_kept() -> None:
    fields = json.loads(Manifest(kind="model", files=(entry("a"),)).data)
    fields["licence"] = "apache-2.0"
    fields["files"][0]["blake3"] = "00"
    data = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    assert Manifest.parse(data, "here").data == data


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_manifest_that_names_hostile_files_is_refused(name: str) -> None:
    data = json.dumps({"kind": "model", "files": [{"name": name, "size": 0, "sha256": EMPTY}]}).encode()
    with pytest.raises(VerificationError, match="bucket/manifest"):
        Manifest.parse(data, "bucket/manifest")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"kind": "model"}',
        b'{"kind": "", "files": []}',
        b'{"kind": "m", "files": [{"name": "a", "size": -1, "sha256": "%s"}]}' % EMPTY.encode(),
        b'{"kind": "m", "files": [{"name": "a", "size": true, "sha256": "%s"}]}' % EMPTY.encode(),
        b'{"kind": "m", "files": [{"name": "a", "size": 1, "sha256": "beef"}]}',
        b'{"kind": "m", "files": [], "meta": {"x": NaN}}',
        b'{"kind": "m", "files": [], "meta": {"x": "\\ud800"}}',
    ],
)
def test_malformed_bytes_are_one_clear_line(data: bytes) -> None:
    with pytest.raises(VerificationError) as caught:
        Manifest.parse(data, "bucket/manifest")
    assert str(caught.value).startswith("bucket/manifest") and "\n" not in str(caught.value)


def test_a_reformatted_manifest_is_refused() -> None:
    manifest = Manifest(kind="model", files=(entry("a"),))
    with pytest.raises(VerificationError, match="rewritten"):
        Manifest.parse(json.dumps(json.loads(manifest.data), indent=2).encode(), "here")


def test_meta_that_is_no_json_is_refused() -> None:
    with pytest.raises(DataError):
        _ = Manifest(kind="model", files=(), meta={"loss": float("nan")}).data


def test_a_folder_without_manifest_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a complete artifact"):
        Manifest.read(tmp_path)
    (tmp_path / MANIFEST).mkdir()
    with pytest.raises(VerificationError, match="cannot be read"):
        Manifest.read(tmp_path)
