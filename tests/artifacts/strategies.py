"""Hypothesis strategies for folders and manifests."""

from pathlib import Path

from hypothesis import strategies as st

from cortex.artifacts.manifest import FileEntry, Manifest

parts = st.text(alphabet="abcXYZ019._- é中", min_size=1, max_size=12).filter(lambda part: not part.endswith((".", " ")))
names = st.lists(parts, min_size=1, max_size=3).map("/".join)


def distinct(found: list[str]) -> bool:
    """True where these names can lie in one folder on every disk."""
    folded = [name.casefold() for name in found]
    folders = {name.rsplit("/", depth)[0] for name in folded for depth in range(1, name.count("/") + 1)}
    return len(set(folded)) == len(folded) and not folders & set(folded)


contents = st.dictionaries(names, st.binary(max_size=64), min_size=1, max_size=6).filter(
    lambda files: distinct(list(files)) and not {"manifest.json", "model.sig"} & {name.casefold() for name in files}
)

digests = st.text(alphabet="0123456789abcdef", min_size=64, max_size=64)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    listed = draw(st.lists(names, max_size=5).filter(distinct))
    return Manifest(
        kind=draw(st.sampled_from(["dataset", "model", "release"])),
        files=tuple(FileEntry(name=name, size=draw(st.integers(0, 2**50)), sha256=draw(digests)) for name in listed),
        inputs=draw(st.dictionaries(st.text(max_size=8), digests, max_size=3)),
        code=draw(st.text(max_size=20)),
        profile=draw(st.none() | digests),
        seeds=draw(st.dictionaries(st.text(max_size=8), st.integers(0, 2**63), max_size=3)),
        meta=draw(st.dictionaries(st.text(max_size=8), json_values, max_size=3)),
    )


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files into a folder, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder
