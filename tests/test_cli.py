import json
import resource
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from cortex.artifacts.artifact import publish
from cortex.artifacts.store import Store
from tests.conftest import Cortex
from tests.tables import bars, write_csv


def told(done: "subprocess.CompletedProcess[str]", code: int) -> str:
    """The one line of an error that left with this code."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ")
    return done.stderr


def test_help_names_the_verbs_and_comes_at_once(cortex: Cortex) -> None:
    seconds: list[float] = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        done = cortex("--help")
        seconds.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
        assert done.returncode == 0
        assert all(verb in done.stdout for verb in ("run", "rehearse", "show", "verify", "teardown", "dataset"))
    assert statistics.median(seconds) < 0.6


def test_the_environment_file_holds_unless_the_environment_says_otherwise(tmp_path: Path, cortex: Cortex) -> None:
    (tmp_path / ".env").write_text(f"CORTEX_BUCKET={tmp_path}/from-file\nexport AWS_REGION=eu-west-1\n")
    assert f"no run 'r9' in {tmp_path}/from-file" in told(cortex("show", "r9"), 2)
    assert f"no run 'r9' in {tmp_path}/other" in told(cortex("show", "r9", CORTEX_BUCKET=f"{tmp_path}/other"), 2)


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("a", "b", "c"):
        (source / name).write_text(name)
    return publish(source, Store.open(str(tmp_path / "store")), "one", kind="test").path


def test_verify_tells_a_good_artifact_from_a_spoilt_one(artifact: Path, cortex: Cortex) -> None:
    done = cortex("verify", artifact)
    assert (done.returncode, done.stdout) == (0, f"{artifact}: 3 files, 3 bytes, all as published\n")
    (artifact / "a").write_text("x")
    (artifact / "b").unlink()
    (artifact / "d").write_text("d")
    message = told(cortex("verify", artifact), 65)
    assert "1 differ ('a'); 1 missing ('b'); 1 extra ('d')" in message


def test_verify_names_what_is_no_artifact(tmp_path: Path, cortex: Cortex) -> None:
    assert "has no manifest.json" in told(cortex("verify", tmp_path), 65)
    assert "has no manifest.json" in told(cortex("verify", tmp_path / "nowhere"), 65)


@pytest.mark.parametrize("words", [("show", "r9"), ("show", "../r9"), ("run", "data", "--run", "r9")])
def test_an_unknown_run_is_a_usage_error_with_a_hint(words: tuple[str, ...], cortex: Cortex) -> None:
    message = told(cortex(*words), 2)
    assert "the bucket holds no run" in message or "run id '../r9' must be" in message


@pytest.mark.parametrize("words", [("shwo",), ("show",), ("run", "data"), ("dataset", "build")])
def test_wrong_words_are_a_usage_error(words: tuple[str, ...], cortex: Cortex) -> None:
    done = cortex(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and "Usage:" in done.stderr


def test_dataset_build_and_show_work_alone(tmp_path: Path, cortex: Cortex) -> None:
    csv = write_csv(tmp_path / "prices.csv")
    done = cortex("dataset", "build", "--data", csv, "--out", tmp_path / "out", "--horizon-days", "2")
    assert done.returncode == 0 and "examples" in done.stdout, done.stderr
    shown = json.loads(cortex("dataset", "show", tmp_path / "out", "--json").stdout)
    assert shown["horizon_days"] == 2 and shown["examples"] == len(pl.read_parquet(tmp_path / "out/examples.parquet"))
    people = cortex("dataset", "show", tmp_path / "out")
    assert people.returncode == 0 and "horizon 2 days" in people.stdout and "train" in people.stdout
    assert "has no manifest.json" in told(cortex("dataset", "show", tmp_path), 65)
    assert not (tmp_path / "home").exists()


def with_value(column: str, value: float | None) -> Callable[[], pl.DataFrame]:
    def change() -> pl.DataFrame:
        rows = pl.int_range(pl.len()) == 40
        return bars().with_columns(pl.when(rows).then(value).otherwise(column).alias(column))

    return change


BAD: dict[str, tuple[Callable[[], pl.DataFrame | str], str]] = {
    "empty": (lambda: "", "prices.csv"),
    "no csv": (lambda: "\x00\x01 nothing\n1,2,3\n", "prices.csv"),
    "wrong columns": (lambda: bars().rename({"high": "top"}), "lacks high"),
    "twice": (lambda: pl.concat([bars(), bars().tail(1)]), "ETH"),
    "NaN": (with_value("close", float("nan")), "close"),
    "infinite": (with_value("high", float("inf")), "high"),
    "negative": (with_value("low", -1.0), "low"),
    "too little": (lambda: bars(days=60), "too little history"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data_is_one_line_and_leaves_nothing(name: str, tmp_path: Path, cortex: Cortex) -> None:
    make, word = BAD[name]
    content = make()
    csv = tmp_path / "prices.csv"
    csv.write_text(content) if isinstance(content, str) else write_csv(csv, content)
    message = told(cortex("dataset", "build", "--data", csv, "--out", tmp_path / "out"), 65)
    assert word in message
    assert [path.name for path in tmp_path.iterdir()] == ["prices.csv"]


def test_rehearse_suggests_the_profile_that_was_meant(tmp_path: Path, cortex: Cortex) -> None:
    assert "no profile 'rehersal': did you mean 'rehearsal'" in told(cortex("rehearse", "--profile", "rehersal"), 78)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("present", [True, False])
def test_rehearse_finds_bad_data_before_it_builds_or_begins_anything(
    present: bool, tmp_path: Path, cortex: Cortex
) -> None:
    csv = tmp_path / "mine.csv"
    if present:
        write_csv(csv, bars().with_columns(close=-pl.col("close")))
    message = told(cortex("rehearse", "--data", csv, "--run", "r1"), 65)
    assert "mine.csv" in message
    assert not (tmp_path / "home").exists()


def test_a_release_is_brought_home_signed_checked_and_traced(cortex: Cortex, tmp_path: Path, store: Store) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (made / "weights").write_bytes(b"w" * 100_000)
    data = publish(_folder(tmp_path / "data"), store, "runs/a/data/artifact", kind="data")
    publish(made, store, "runs/a/release", kind="release", inputs={"data": data.digest})
    brought = cortex("download", "a", "--to", tmp_path / "home-again")
    assert brought.returncode == 0, brought.stderr
    assert "verified" in brought.stdout
    assert cortex("keys", tmp_path / "keys").returncode == 0
    assert cortex("sign", tmp_path / "home-again", "--key", tmp_path / "keys" / "signing.key").returncode == 0
    public = tmp_path / "keys" / "signing.pub"
    assert cortex("verify", tmp_path / "home-again", "--key", public).returncode == 0
    assert cortex("keys", tmp_path / "others").returncode == 0
    refused = cortex("verify", tmp_path / "home-again", "--key", tmp_path / "others" / "signing.pub")
    assert refused.returncode == 65
    assert "Traceback" not in refused.stderr
    half = told(cortex("verify", tmp_path / "home-again", "--identity", "me@example.org"), 2)
    assert "--identity-provider" in half
    offline = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "HOME": str(tmp_path)}
    words = ("--identity", "me@example.org", "--identity-provider", "https://accounts.example.org")
    assert "internet" in told(cortex("verify", tmp_path / "home-again", *words, **offline), 78)
    drawn = cortex("lineage", "a")
    assert drawn.returncode == 0
    assert data.digest[:12] in drawn.stdout


def test_nothing_is_downloaded_of_a_run_without_a_release(cortex: Cortex) -> None:
    missing = cortex("download", "nobody")
    assert missing.returncode == 65
    assert missing.stderr.startswith("error: run nobody has no release")


def _folder(path: Path) -> Path:
    path.mkdir()
    (path / "examples").write_text("some")
    return path
