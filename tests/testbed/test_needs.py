"""Errors of the bed where it cannot be raised."""

import os
from pathlib import Path

import pytest

from cortex.errors import ConfigError, UsageError
from tests.testbed.bed import Bed, check_machine
from tests.testbed.place import Place


def test_it_wants_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigError, match="run it as root"):
        check_machine()


def test_it_names_the_packages_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="apt-get install iproute2 mount util-linux"):
        check_machine()


def test_a_bed_that_is_down_says_so(tmp_path: Path) -> None:
    bed = Bed(Place(tmp_path))
    assert bed.status() == {"phase": "down", "machines": []}
    with pytest.raises(ConfigError, match="make testbed"):
        bed.command(["true"])
    with pytest.raises(UsageError, match="no machine 'i-1' runs here: none does"):
        bed.reclaim("i-1")
