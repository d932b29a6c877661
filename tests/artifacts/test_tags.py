"""The tag by which a bucket's lifecycle finds checkpoints: on their objects, on no other, wherever tags are taken."""

from collections.abc import Mapping
from pathlib import Path

import boto3
import pytest

from cortex.artifacts.artifact import publish
from cortex.artifacts.file_names import CHECKPOINT_TAG, is_of_a_checkpoint
from cortex.artifacts.patience import Patience
from cortex.artifacts.remote_store import RemoteStore
from cortex.artifacts.store import PIECE, StoreError
from tests.artifacts.strategies import write
from tests.fleet.services import Aws, Request, cloud, moto_url, serving
from tests.runs.conftest import log

pytestmark = pytest.mark.integration

__all__ = ["cloud", "log", "moto_url"]

STEP = "runs/r/sft/checkpoints/000000010"
REFUSED = b"<Error><Code>%s</Code><Message>no</Message></Error>"


def test_a_checkpoints_objects_have_the_tag_and_no_others_have(cloud: Aws, tmp_path: Path) -> None:
    bucket = boto3.client("s3", endpoint_url=cloud.url)
    bucket.create_bucket(Bucket="kit")
    store = RemoteStore("s3://kit")
    files = {"small": b"1", "in parts": bytes(PIECE + 1)}
    publish(write(tmp_path / "a", files), store, STEP, kind="checkpoint")
    publish(write(tmp_path / "b", files), store, "runs/r/sft/artifact", kind="model")
    assert store.put_if_absent("runs/r/lease/1", b"")
    tags = {
        entry["Key"]: [
            (tag["Key"], tag["Value"]) for tag in bucket.get_object_tagging(Bucket="kit", Key=entry["Key"])["TagSet"]
        ]
        for entry in bucket.list_objects_v2(Bucket="kit")["Contents"]
    }
    assert {f"{STEP}/small", f"{STEP}/in parts", f"{STEP}/manifest.json", "runs/r/lease/1"} < set(tags)
    assert {key for key, found in tags.items() if found == [CHECKPOINT_TAG]} == {key for key in tags if STEP in key}
    assert not [key for key, found in tags.items() if found and STEP not in key]


@pytest.mark.parametrize(("status", "code"), [(501, b"NotImplemented"), (403, b"AccessDenied")])
def test_where_no_tags_are_taken_checkpoints_are_written_without(
    status: int, code: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    asked: list[bool] = []

    def answer(request: Request) -> tuple[int, Mapping[str, str], bytes]:
        asked.append("X-Amz-Tagging" in request.headers)
        return (status, {}, REFUSED % code) if asked[-1] else (200, {"ETag": '"1"'}, b"")

    with serving(answer) as url:
        store = opened(url, monkeypatch)
        (tmp_path / "file").write_bytes(b"1")
        assert store.upload(tmp_path / "file", f"{STEP}/file").size == 1
        assert asked[0] and not asked[-1]
        before = len(asked)
        store.put(f"{STEP}/manifest.json", b"{}")
    assert asked[before:] == [False], "a server that takes no tags is not asked again"
    assert len([line for line in log if "takes no tags" in line]) == 1


def test_a_bucket_that_takes_nothing_is_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda _: (403, {}, REFUSED % b"AccessDenied")) as url:
        store = opened(url, monkeypatch)
        with pytest.raises(StoreError, match="AccessDenied"):
            store.put(f"{STEP}/manifest.json", b"{}")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (f"{STEP}/model.safetensors", True),
        ("runs/r/sft/artifact/model.safetensors", False),
        (f"{STEP}/pytorch_model_fsdp_0/.metadata", True),
        ("runs/checkpoints", False),
        ("runs/my-checkpoints/profile.json", False),
        ("runs/checkpoints/release/model/w.safetensors", False),
        ("runs/checkpoints/sft/artifact/w.safetensors", False),
        ("runs/checkpoints/sft/checkpoints/5/w.safetensors", False),
        ("runs/r/release/checkpoints/5/w.safetensors", False),
        ("runs/r/release/model/checkpoints/w.safetensors", False),
        ("runs/r/sft/artifact/checkpoints/w.safetensors", False),
        ("runs/r/sft/checkpoints/5/release/w.safetensors", False),
        ("models/r/sft/checkpoints/5/w.safetensors", False),
        ("runs/r/sft/checkpoints/manifest.json", False),
    ],
)
def test_only_what_lies_in_a_stages_checkpoint_is_of_one(key: str, expected: bool) -> None:
    assert is_of_a_checkpoint(key) is expected


def opened(url: str, monkeypatch: pytest.MonkeyPatch) -> RemoteStore:
    for name, value in {"ENDPOINT_URL": url, "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s", "REGION": "r"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return RemoteStore("s3://kit", Patience(deadline=8, first=0.01, longest=0.1))
