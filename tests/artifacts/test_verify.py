import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.artifacts.artifact import describe
from cortex.artifacts.folders import seal
from cortex.artifacts.verify import verify
from cortex.errors import DataError, VerificationError
from tests.artifacts.strategies import contents, write


def sealed(folder: Path) -> Path:
    seal(folder, describe(folder, kind="model").data)
    return folder


@settings(deadline=None, max_examples=60)
@given(contents, st.data())
def test_every_single_damage_is_found_and_named(files: dict[str, bytes], data: st.DataObject) -> None:
    with TemporaryDirectory() as root:
        folder = sealed(write(Path(root), files))
        assert verify(folder).ok
        victim = data.draw(st.sampled_from(sorted(files)))
        kind = data.draw(st.sampled_from(["flip", "grow", "shrink", "remove", "add", "link"]))
        path, whole = folder / victim, files[victim]
        if kind == "flip" and whole:
            at = data.draw(st.integers(0, len(whole) - 1))
            path.write_bytes(whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :])
        elif kind == "shrink" and whole:
            path.write_bytes(whole[:-1])
        elif kind == "remove":
            path.unlink()
        elif kind == "add":
            (folder / "intruder").write_bytes(b"")
        elif kind == "link":
            path.rename(f"{root}.aside")
            path.symlink_to(f"{root}.aside")
        else:
            path.write_bytes(whole + b"\0")
        found = verify(folder)
        Path(f"{root}.aside").unlink(missing_ok=True)
        assert not found.ok
        if kind == "remove":
            assert (found.missing, found.differing, found.extra) == ((victim,), (), ())
        elif kind == "add":
            assert (found.extra, found.differing, found.missing) == (("intruder",), (), ())
        else:
            assert (found.differing, found.missing, found.extra) == ((victim,), (), ())
        with pytest.raises(VerificationError):
            found.require()


def test_files_behind_a_linked_folder_are_not_the_artifact(tmp_path: Path) -> None:
    folder = sealed(write(tmp_path / "a", {"sub/x": b"1", "y": b"2"}))
    (folder / "sub").rename(tmp_path / "elsewhere")
    (folder / "sub").symlink_to(tmp_path / "elsewhere")
    found = verify(folder)
    assert found.missing == ("sub/x",) and found.extra == ("sub",)


def test_odd_files_are_reported_not_read(tmp_path: Path) -> None:
    folder = sealed(write(tmp_path / "a", {"x": b"1"}))
    (folder / "x").unlink()
    os.mkfifo(folder / "x")
    os.mkfifo(folder / "pipe")
    found = verify(folder)
    assert found.differing == ("x",) and found.extra == ("pipe",)


def test_sidecars_empty_files_and_empty_folders_are_fine(tmp_path: Path) -> None:
    folder = sealed(write(tmp_path / "a", {"empty": b""}))
    (folder / "model.sig").write_bytes(b"signature")
    (folder / "nothing").mkdir()
    assert verify(folder).ok


def test_the_text_names_the_first_ones_and_counts_all(tmp_path: Path) -> None:
    folder = sealed(write(tmp_path / "a", {f"f{i}": b"x" for i in range(9)}))
    for i in range(9):
        (folder / f"f{i}").write_bytes(b"y")
    text = str(verify(folder))
    assert "9 differ" in text and "'f4', ..." in text and "f5" not in text and "\n" not in text


def test_undecodable_names_are_extra(tmp_path: Path) -> None:
    folder = sealed(write(tmp_path / "a", {"x": b"1"}))
    Path(os.fsdecode(os.fsencode(folder) + b"/bad\xff")).write_bytes(b"")
    found = verify(folder)
    assert found.extra == ("bad\udcff",)
    str(found).encode()


def test_no_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a complete artifact"):
        verify(tmp_path / "nowhere")
