"""`make setup`, on a copy of what it reads, with wheels of the test's own in place of the package index."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from cortex.settings import CHECKOUT
from scripts.lock import blocks
from tests.wheels import locked, make_sources, make_wheel

pytestmark = pytest.mark.integration

WRONG = "0" * 64
LOCKS = sorted((CHECKOUT / "images").glob("*/requirements*.lock"))


@dataclass
class Kit:
    """A checkout with no more files than its setup needs, in a folder whose name has a space."""

    root: Path
    uv: Path
    demo: Path

    def setup(self, *entries: str) -> "subprocess.CompletedProcess[str]":
        """Run `make setup` with a lock of these entries."""
        lock = self.root / "images" / "control" / "requirements.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.write_text("".join(entries))
        offered = str(self.uv.parent)
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "MAKE"))}
        variables |= {"PIP_NO_INDEX": "1", "UV_NO_INDEX": "1", "PIP_FIND_LINKS": offered, "UV_FIND_LINKS": offered}
        words = ["make", "-C", str(self.root), "setup", f"PYTHON={sys.executable}"]
        return subprocess.run(words, env=variables, capture_output=True, text=True, check=False, timeout=120)

    @property
    def complete(self) -> bool:
        return (self.root / ".venv" / "complete").exists()


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    root, offered = tmp_path / "a kit", tmp_path / "wheels"
    for name in ("Makefile", "scripts/use_checkout.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / name, root / name)
    (root / "cortex").mkdir()
    (root / "cortex" / "__init__.py").touch()
    (root / "cortex" / "__main__.py").write_text("import json, sys, demo\nprint(json.dumps(sys.argv[1:]))\n")
    real = Path(sys.executable).with_name("uv")
    program = {"uv-1.0.data/scripts/uv": f'#!/bin/sh\nexec "{real}" "$@"\n'}
    uv, demo = make_wheel(offered, "uv", "1.0", program), make_wheel(offered, "demo", "1.0", {"demo.py": ""})
    return Kit(root, uv, demo)


def test_what_the_lock_names_is_installed_and_the_checkout_runs(kit: Kit, tmp_path: Path) -> None:
    done = kit.setup(locked(kit.demo), locked(kit.uv))
    assert done.returncode == 0 and kit.complete, done.stderr
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "json.py").write_text("raise SystemExit('a module of the folder that it was called from')\n")
    (elsewhere / "linked").symlink_to(kit.root / ".venv" / "bin" / "cortex")
    for command in (kit.root / ".venv" / "bin" / "cortex", elsewhere / "linked"):
        called = subprocess.run([command, "two words"], cwd=elsewhere, capture_output=True, text=True, check=False)
        assert (called.returncode, called.stdout) == (0, '["two words"]\n'), called.stderr


def test_a_file_that_is_not_the_locks_is_refused(kit: Kit) -> None:
    for entries, named in (
        ((locked(kit.uv, WRONG), locked(kit.demo)), "uv"),
        ((locked(kit.uv), locked(kit.demo, WRONG)), "demo"),
        ((locked(kit.uv), "demo==1.0\n"), "demo"),
        (("uv==1.0\n", locked(kit.demo)), "uv"),
    ):
        refused = kit.setup(*entries)
        assert refused.returncode and not kit.complete, refused.stdout
        assert named in refused.stderr and "hash" in refused.stderr.lower()
        assert not list((kit.root / ".venv").glob("lib/python*/site-packages/demo.py"))


def test_what_the_lock_no_longer_names_goes(kit: Kit) -> None:
    assert kit.setup(locked(kit.demo), locked(kit.uv)).returncode == 0
    assert list((kit.root / ".venv").glob("lib/python*/site-packages/demo.py"))
    done = kit.setup(locked(kit.uv))
    assert done.returncode == 0 and kit.complete, done.stderr
    assert not list((kit.root / ".venv").glob("lib/python*/site-packages/demo.py"))


def test_nothing_is_built(kit: Kit) -> None:
    refused = kit.setup(locked(kit.uv), locked(make_sources(kit.uv.parent, "raw", "1.0")))
    assert refused.returncode and not kit.complete
    assert "raw" in refused.stderr and "no usable wheels" in refused.stderr


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: f"{lock.parent.name}-{lock.name}")
def test_every_locked_package_has_a_hash_but_torchs_cpu_wheel(lock: Path) -> None:
    entries = blocks(lock.read_text(encoding="utf-8"))
    bare = {name for name, entry in entries if "--hash=sha256:" not in entry}
    assert entries and bare <= ({"torch"} if lock.name == "requirements.cpu.lock" else set())
