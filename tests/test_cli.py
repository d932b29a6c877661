import json
import resource
import statistics
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import polars as pl
import pytest
import typer

from cortex.artifacts.artifact import publish
from cortex.artifacts.open_store import open_store
from cortex.artifacts.store import Store
from cortex.cli import app
from cortex.verbs.options import read_path
from tests.conftest import Cortex
from tests.tables import bars, write_csv

pytestmark = pytest.mark.integration


def told(done: "subprocess.CompletedProcess[str]", code: int) -> str:
    """The one line of an error, from a program that ended with this exit code."""
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
    return publish(source, open_store(str(tmp_path / "store")), "one", kind="test").path


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


def every_command(app: typer.Typer) -> Iterator[Callable[..., object]]:
    yield from (command.callback for command in app.registered_commands if command.callback)
    for group in app.registered_groups:
        if group.typer_instance:
            yield from every_command(group.typer_instance)


def test_every_path_of_every_verb_is_read_alike() -> None:
    found = 0
    for command in every_command(app):
        for name, hint in get_type_hints(command, include_extras=True).items():
            annotated = next((part for part in (hint, *get_args(hint)) if get_origin(part) is Annotated), None)
            if annotated and Path in (annotated.__origin__, *get_args(annotated.__origin__)):
                found += 1
                assert annotated.__metadata__[0].parser is read_path, f"{command.__name__}: {name}"
    assert found > 10


def test_home_folders_and_variables_stand_in_the_paths_of_every_verb(tmp_path: Path, cortex: Cortex) -> None:
    write_csv(tmp_path / "prices.csv")
    words = ("dataset", "build", "--data=~/prices.csv", "--out=$HOME/out")
    assert cortex(*words, HOME=str(tmp_path)).returncode == 0
    assert (tmp_path / "out" / "examples.parquet").is_file()
    assert cortex("keys", "~/keys", HOME=str(tmp_path)).returncode == 0
    assert (tmp_path / "keys" / "signing.pub").is_file()
    refused = cortex("dataset", "build", "--data=$NOT_SET/x.csv", "--out", tmp_path / "other")
    assert refused.returncode == 2 and "$NOT_SET, which is not set" in refused.stderr
    assert not (Path.cwd() / "~").exists()


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("AWS_ENDPOINT_URL", "minio:9000", "write http://minio:9000"),
        ("AWS_ENDPOINT_URL", " http://127.0.0.1:9", "holds ' '"),
        ("AWS_ENDPOINT_URL_S3", '"http://127.0.0.1:9"', "holds '\"'"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:87650", "65535"),
        ("AWS_ENDPOINT_URL", "http://999.1.1.1:9", "names no host"),
        ("AWS_ACCESS_KEY_ID", "hidden\n", "copy the key anew"),
        ("AWS_SESSION_TOKEN", "hidden\n", "copy the key anew"),
        ("AWS_REGION", "us east", "is no region's name"),
        ("AWS_SKIP_SIGNATURE", "maybe", "AWS_SKIP_SIGNATURE"),
        ("AWS_SSE_KMS_KEY_ID", "a\nb", "cannot carry"),
    ],
)
def test_what_the_bucket_s_client_cannot_take_is_named_before_it_gets_it(
    name: str, value: str, word: str, cortex: Cortex
) -> None:
    base = {"CORTEX_BUCKET": "s3://bucket/kit", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}
    base |= {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    message = told(cortex("runs", **{**base, name: value}), 78)
    assert name in message and word in message and "hidden" not in message
