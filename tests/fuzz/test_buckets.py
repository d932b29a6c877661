"""Generated hostile buckets: every verb that reads one ends by an error of the kit's own, and prints only text."""

import contextlib
import io
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import strategies as st
from loguru import logger
from typer.main import get_command

from cortex.artifacts.artifact import publish
from cortex.artifacts.folder_store import FolderStore
from cortex.cli import app
from cortex.errors import CortexError
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import create_run
from cortex.runs.ledger import Ledger
from tests.hostile import HOSTILE, odd_characters

from .runner import Fuzz

PROFILE = load_profile("rehearsal")
VERBS = (
    ("status", "r"),
    ("status", "r", "--json"),
    ("runs",),
    ("runs", "--json"),
    ("cost", "r"),
    ("show", "r"),
    ("show", "r", "--json"),
    ("lineage", "r"),
    ("logs", "r"),
    ("verify", "{bucket}/runs/r/release"),
    ("download", "r"),
)
PLACES = (
    "profile.json",
    "prices.json",
    "lease/00000001",
    "ledger/00000001-000000.jsonl",
    "ledger/00000009-000000-tick.jsonl",
    "ledger/junk.jsonl",
    "logs/00000001-sft.log",
    "data/artifact/manifest.json",
    "evaluate/artifact/manifest.json",
    "evaluate/artifact/evaluation.json",
    "release/manifest.json",
    "release/weights",
    "release/model.sig",
)
KINDS = ("stage_started", "stage_finished", "stage_failed", "progress", "machine_started", "machine_alive", "launched")
KINDS += ("machine_stopped", "budget_raised", "bucket_unreachable", "bucket_answers", "stopped", "teardown", "note")
FIELDS = ("event", "epoch", "time", "stage", "step", "total", "seconds", "machine", "since", "until", "dollars", "code")
FIELDS += (
    "dollars_per_hour",
    "reason",
    "manifest",
    "loss",
    "cloud",
    "zone",
    "spot",
    "kind",
    "files",
    "inputs",
    "seeds",
)

words = st.sampled_from(HOSTILE) | st.text(st.characters(codec=None), max_size=8) | st.sampled_from(("sft", "data"))
leaves = words | st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from((2**63, 10**400, -1, 1e308))
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3))
events = st.fixed_dictionaries(
    {"event": st.sampled_from(KINDS), "epoch": st.integers(0, 9), "time": st.integers(0, 2**31)},
    optional={name: leaves for name in FIELDS if name not in ("event", "epoch", "time")},
)
entries = st.fixed_dictionaries({"name": words, "size": leaves, "sha256": st.just("0" * 64) | words})
manifests = st.fixed_dictionaries(
    {"kind": words, "files": st.lists(entries, max_size=3)},
    optional={"inputs": st.dictionaries(words, st.just("0" * 64) | words, max_size=2), "seeds": values, "meta": values},
)


def canonical(value: object) -> bytes:
    """The canonical bytes of a manifest, so that its contents are checked."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode() + b"\n"


lines = st.lists(events | values, max_size=5).map(lambda some: b"".join(canonical(one) for one in some))
deep = st.sampled_from((10, 100, 5000)).map(lambda levels: b"[" * levels + b"]" * levels)
data = lines | lines | manifests.map(canonical) | values.map(canonical) | st.binary(max_size=40) | deep


@dataclass(frozen=True)
class Change:
    """A change that somebody makes to one place of a sound bucket."""

    place: str
    how: str
    data: bytes

    def make(self, folder: Path) -> None:
        path = folder / self.place
        path.parent.mkdir(parents=True, exist_ok=True)
        before = b""
        if path.is_file():
            with path.open("rb") as file:
                before = file.read(2**20)  # an earlier change may have made it 8 GiB long
        path.unlink(missing_ok=True)
        match self.how:
            case "write":
                path.write_bytes(self.data)
            case "append":
                path.write_bytes(before + self.data)
            case "cut":
                path.write_bytes(before[: len(before) // 2])
            case "long":
                with path.open("wb") as file:
                    file.truncate(2**33)
            case "link":
                path.symlink_to("/dev/zero")
            case "pipe":
                os.mkfifo(path)
            case "folder":
                (path / "inner").mkdir(parents=True)


hows = st.sampled_from(("write", "write", "write", "append", "append", "cut", "long", "link", "pipe", "folder", "gone"))
odd_names = st.sampled_from(
    ("ledger/\x1b[2J", "\u202ex/artifact/manifest.json", "lease/junk", "lease/99999999", "d/" * 40)
)
changes = st.builds(Change, st.sampled_from(PLACES) | odd_names, hows, data)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound bucket."""
    home = tmp_path_factory.mktemp("sound")
    store = FolderStore(home / "bucket")
    create_run(store, "r", PROFILE, rehearsal=True)
    ledger = Ledger(store, "r", 1)
    ledger.append("stage_started", stage="data")
    ledger.progress(step=1, total=2, loss=0.5)
    inputs: dict[str, str] = {}
    for stage, prefix in (("data", "data/artifact"), ("evaluate", "evaluate/artifact"), ("release", "release")):
        (home / stage).mkdir()
        (home / stage / ("evaluation.json" if stage == "evaluate" else "weights")).write_text("{}")
        inputs = {"x": publish(home / stage, store, f"runs/r/{prefix}", kind=stage, inputs=inputs).digest}
    store.put("runs/r/logs/00000001-sft.log", b"loss 1\n")
    return home / "bucket"


def copy(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        if path.is_file() and ".incoming" not in path.parts:
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (target / path.relative_to(source)).write_bytes(path.read_bytes())


def test_no_bucket_takes_a_verb_down_or_writes_to_the_terminal(
    fuzz: Fuzz, sound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = get_command(app)  # once, for it takes longer than a verb

    def check(made: list[Change]) -> None:
        with tempfile.TemporaryDirectory() as home:
            bucket = Path(home, "bucket")
            copy(sound, bucket)
            for change in made:
                with contextlib.suppress(OSError):  # where an earlier one made a file of its folder
                    change.make(bucket / "runs" / "r")
            monkeypatch.setenv("CORTEX_HOME", home)
            monkeypatch.setenv("CORTEX_BUCKET", str(bucket))
            for verb in VERBS:
                said = io.StringIO()
                quiet = contextlib.redirect_stdout(said), contextlib.redirect_stderr(said)
                # Its own errors are a line each, which `main` makes harmless.
                with quiet[0], quiet[1], contextlib.suppress(CortexError):
                    command([word.format(bucket=bucket) for word in verb], standalone_mode=False)
                assert odd_characters(said.getvalue()) == set(), verb

    logger.remove()
    fuzz(st.lists(changes, min_size=1, max_size=4), check, cost=4)
