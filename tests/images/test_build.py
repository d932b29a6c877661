"""Inputs of an image's build, found on this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cortex.errors import ConfigError, UsageError
from cortex.settings import CHECKOUT
from scripts.images.build import NAMES, build, chosen, local_wheels, revision

LOCK = "numpy==2.4.0 \\\n    --hash=sha256:aa\ntorch==2.13.0\n    # via x\n"


def images(*words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "scripts.images", *words]
    return subprocess.run(
        command, cwd=CHECKOUT, env=os.environ | variables, capture_output=True, text=True, check=False
    )


def test_all_are_meant_where_none_is_named() -> None:
    assert chosen([]) == list(NAMES)
    assert chosen(["sft"]) == ["sft"]
    with pytest.raises(UsageError, match="did you mean 'quantize'"):
        chosen(["quantise"])


def test_wheels_stand_in_only_for_what_has_no_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch-2.13.0+cpu-cp311-linux.whl", "torch-2.13.1-cp311-linux.whl", "numpy-2.4.0-cp311-linux.whl"):
        (tmp_path / name).touch()
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    assert local_wheels(LOCK) == []
    wheel = tmp_path / "torch-2.13.0+cpu-cp311-linux.whl"
    for links in (str(tmp_path), tmp_path.as_uri(), f"https://wheels.example/x {tmp_path}"):
        monkeypatch.setenv("PIP_FIND_LINKS", links)
        assert local_wheels(LOCK) == [wheel]
    assert local_wheels(LOCK.replace("2.13.0\n", "2.13.0 \\\n    --hash=sha256:bb\n")) == []


def test_a_revision_is_the_commit() -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if head.returncode:
        assert revision("data") == "unknown"
    else:
        assert revision("data") in (head.stdout.strip(), f"{head.stdout.strip()}-dirty")


def test_serve_has_no_cpu_variant() -> None:
    with pytest.raises(ConfigError, match="make locks"):
        build("serve", "cpu")


@pytest.mark.parametrize(
    ("words", "variables", "code", "said"),
    [
        (["build", "sgt"], {}, 2, "did you mean 'sft'"),
        (["build", "data"], {"PATH": "/nowhere"}, 78, "docker is not installed"),
        (["sbom", "data"], {"DOCKER_HOST": "unix:///nowhere.sock"}, 78, "no Docker Engine answers"),
        (["push", "data"], {"CORTEX_REGISTRY": ""}, 78, "make push REGISTRY=host/folder"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    words: list[str], variables: dict[str, str], code: int, said: str
) -> None:
    done = images(*words, **variables)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
