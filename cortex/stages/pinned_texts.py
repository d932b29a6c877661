"""The sources of a pretraining, pinned: each hub's data set to a commit, each file to its hash."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cortex.artifacts.hashing import hash_file
from cortex.bases.dataset_revision import dataset_revision
from cortex.errors import ConfigError, DataError
from cortex.profiles.pretrain_section import Pretrain, TextSource
from cortex.teaching.labels import accepted_conversations
from cortex.trainers.text_source import StreamedSource

SOURCES = "sources.json"
"""File with the pins; of the artifact, too, where it has the tokens read of each source besides."""

Pins = list[dict[str, Any]]
"""For each phase its `phase`, and its `sources`: keys of the profile, with a `revision`, or `files` as a list of
`name`, `size` and `sha256`."""


def pin_sources(pretrain: Pretrain) -> Pins:
    """Ask the hub for commits, and hash files.

    Raises:
        ConfigError: the hub has no such data set, or a pattern names no file, or an empty one.
        DataError: the hub does not answer.
    """
    return [{"phase": phase.name, "sources": [_pin(source) for source in phase.sources]} for phase in pretrain.phases]


def require_same_files(pins: Pins) -> None:
    """Return if all pinned files are here, and as they were.

    Raises:
        DataError: a file is missing, or is another.
    """
    for phase in pins:
        for file in (file for source in phase["sources"] for file in source.get("files", ())):
            path = Path(file["name"])
            if not path.is_file() or hash_file(path.resolve()).sha256 != file["sha256"]:
                raise DataError(
                    f"pretrain: {path} is not the file that this run began with ({file['sha256'][:12]}): put it back, "
                    "or start a new run"
                )


def pinned_streams(pins: Pins, labels: Path, folder: Path) -> list[list[StreamedSource]]:
    """The sources of each phase, ready to be streamed; `folder` takes a copy of the conversations in `labels`."""
    conversations = folder / "conversations.jsonl"
    if any(source.get("run") for phase in pins for source in phase["sources"]):
        rows = (json.dumps({"messages": messages}) for messages in accepted_conversations(labels))
        conversations.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return [[_stream(source, conversations) for source in phase["sources"]] for phase in pins]


def write_sources(folder: Path, pins: Sequence[Any]) -> None:
    (folder / SOURCES).write_text(json.dumps(pins, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_sources(folder: Path) -> Pins:
    return json.loads((folder / SOURCES).read_text(encoding="utf-8"))


def match_files(patterns: Sequence[str]) -> Iterator[Path]:
    """The files that patterns name on this machine, sorted within each pattern; relative ones from the current folder.

    Raises:
        ConfigError: a pattern names none, or a file is empty.
    """
    for pattern in patterns:
        path = Path(pattern).expanduser()
        names = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if not names:
            raise ConfigError(f"pretrain: no file of this machine is {pattern}: put it there, or correct `files`")
        for name in names:
            if not name.stat().st_size:
                raise ConfigError(f"pretrain: {name} is empty: remove it, or fill it")
            yield name


def _pin(source: TextSource) -> dict[str, Any]:
    raw = source.model_dump(mode="json") | {"name": source.name}
    if source.dataset:
        return raw | {"revision": dataset_revision(source.dataset, source.revision)}
    if source.files:
        hashed = ((path, hash_file(path.resolve())) for path in match_files(source.files))
        return raw | {"files": [{"name": str(path), "size": one.size, "sha256": one.sha256} for path, one in hashed]}
    return raw


def _stream(pinned: dict[str, Any], conversations: Path) -> StreamedSource:
    raw = {key: value for key, value in pinned.items() if key not in ("run", "files")}
    if pinned.get("run"):
        return StreamedSource(**raw, files=(str(conversations),), conversations=True)
    return StreamedSource(**raw, files=tuple(file["name"] for file in pinned.get("files", ())))
