"""Errors of a rehearsal in containers where it cannot run: here no engine can be reached."""

import os
from pathlib import Path

import pytest

from cortex.domains.scaffold import scaffold
from tests.conftest import Cortex

pytestmark = pytest.mark.integration

NOWHERE = {"DOCKER_HOST": "unix:///nowhere/engine.sock", "CORTEX_CONTAINER_MEMORY": "1g"}

REFUSED = {
    "no engine": ({}, "no Docker Engine answers"),
    "a bucket elsewhere": ({"CORTEX_BUCKET": "s3://bucket/kit"}, "the bucket s3://bucket/kit is no folder"),
    "a teacher elsewhere": (
        {"CORTEX_TEACHER_URL": "http://teacher:8000/v1"},
        "the teacher is at http://teacher:8000/v1",
    ),
}


@pytest.fixture
def client(tmp_path: Path) -> str:
    """A PATH with a `docker` that reaches no engine, as where none is started."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker"
    program.write_text('#!/bin/sh\necho "Cannot connect to the Docker daemon at $DOCKER_HOST." >&2\nexit 1\n')
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize("case", REFUSED)
def test_it_names_the_fix(cortex: Cortex, client: str, case: str, tmp_path: Path) -> None:
    variables, message = REFUSED[case]
    done = cortex("rehearse", "--containers", **NOWHERE, **variables, PATH=client)
    assert done.returncode == 78
    assert message in done.stderr
    assert "leave CONTAINERS away" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "home" / "bucket" / "runs").exists()


def test_a_domain_outside_of_the_kit_is_in_no_image(cortex: Cortex, client: str, tmp_path: Path) -> None:
    domains = tmp_path / "domains"
    _, profile, _ = scaffold("tally", domains)
    words = ("rehearse", "--containers", "--profile", profile)
    done = cortex(*words, **NOWHERE, CORTEX_DOMAINS=str(domains), PATH=client)
    assert done.returncode == 78, done.stderr
    assert f"domain 'tally' lies in {domains / 'tally'}, which images do not hold" in done.stderr


def test_docker_may_not_be_there_at_all(cortex: Cortex, tmp_path: Path) -> None:
    done = cortex("rehearse", "--containers", PATH=str(tmp_path))
    assert done.returncode == 78
    assert "docker is not installed" in done.stderr
