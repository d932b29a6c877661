"""Stages that are killed at random moments, and what each kill interrupted."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from cortex.checkpoints.completeness import STATE, lacking
from tests.rehearsal.trained import Task, write_task

Aim = Literal["start", "step", "save", "hash", "upload"]
AIMS: tuple[Aim, ...] = ("save", "hash", "upload", "save", "step", "hash", "upload", "start")
"""Aims of the kills, in turn. The delay is random, so they hit what comes before and after, too."""

_DELAYS: dict[Aim, float] = {"start": 2.5, "step": 0.3, "save": 0.012, "hash": 0.006, "upload": 0.15}
"""Longest delay, in seconds, from a sign on the disk to the kill."""

LOST = 0.2
"""The share of kills that take the machine's disk along: the run then continues from the bucket alone."""

_LOOK_SECONDS = 0.001


@dataclass
class Chain:
    """One run of a stage: killed and continued until it ends."""

    task: Task
    bucket: Path
    """The folder that the bucket's server serves."""
    variables: Mapping[str, str]
    met: list[str] = field(default_factory=list[str])
    """Each kill's moment: `starting`, `between saves`, or `in the` save, hash, rename or upload, or several of them."""
    lost: int = 0
    """Number of kills that took the machine's disk along."""
    output: str = ""
    """Output of the last program."""

    def start(self) -> "subprocess.Popen[str]":
        """Start the stage as a program, in a process group of its own; the trainer has another, as always."""
        work = Path(self.task.work)
        work.mkdir(parents=True, exist_ok=True)
        task = write_task(work / "task.json", self.task)
        with self.log.open("w") as log:
            return subprocess.Popen(
                [self.task.python, "-m", "tests.rehearsal.trained", task],
                env=dict(self.variables),
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                process_group=0,
            )

    def finish(self, process: "subprocess.Popen[str]", timeout: float = 900) -> int:
        code = process.wait(timeout)
        self.output = self.log.read_text()
        return code

    def weights(self) -> str:
        """Begin or continue, undisturbed; return the digest of the final weights."""
        code = self.finish(self.start())
        assert code == 0, self.output[-4000:]
        return self.output.splitlines()[-1].removeprefix("weights ")

    def kill(self, aim: Aim, rng: random.Random) -> bool:
        """Begin or continue, and kill the program soon after what `aim` names; False where it ended first."""
        before = self.newest()
        process = self.start()
        skip = rng.choice((0, 0, 1))
        while not self._seen(aim, before, skip):
            if process.poll() is not None:
                assert self.finish(process) == 0, self.output[-4000:]
                return False
            time.sleep(_LOOK_SECONDS)
        time.sleep(rng.uniform(0, _DELAYS[aim]))
        os.killpg(process.pid, signal.SIGKILL)
        if process.wait() == 0:
            assert self.finish(process) == 0
            return False
        self.finish(process)
        time.sleep(0.1)  # its trainer dies of it
        self.met.append(self._what(before))
        if rng.random() < LOST:
            shutil.rmtree(self.folder)
            self.lost += 1
        return True

    @property
    def log(self) -> Path:
        """The program's log: not on its disk, which may be full."""
        return self.bucket.parents[2] / f"{self.task.run}.log"

    @property
    def folder(self) -> Path:
        return Path(self.task.work, self.task.stage)

    def newest(self) -> int:
        """The newest step among the committed checkpoints, on the disk or in the bucket."""
        return max(
            [0, *_steps(self.folder / "committed" / self._checkpoints), *_steps(self.bucket / self._checkpoints)]
        )

    @property
    def _checkpoints(self) -> str:
        return f"runs/{self.task.run}/{self.task.stage}/checkpoints"

    def _seen(self, aim: Aim, before: int, skip: int) -> bool:
        saving = [step for step in _steps(self.folder / "trainer") if step > before]
        committed = [step for step in _steps(self.folder / "committed" / self._checkpoints) if step > before]
        match aim:
            case "start":
                return True
            case "save":
                return len(committed) >= skip and bool(saving)
            case "hash":
                return len(committed) >= skip and any(
                    (self.folder / "trainer" / f"checkpoint-{step}" / STATE).exists() for step in saving
                )
            case "upload" | "step":
                return len(committed) > skip

    def _what(self, before: int) -> str:
        found: set[str] = set()
        for step in _steps(self.folder / "trainer"):
            folder = self.folder / "trainer" / f"checkpoint-{step}"
            if lacking(folder, step, 1):
                found.add("save")
            else:
                found.add("rename" if (folder / "manifest.json").exists() else "hash")
        committed = max(_steps(self.folder / "committed" / self._checkpoints), default=0)
        if committed and not (self.bucket / self._checkpoints / str(committed) / "manifest.json").exists():
            found.add("upload")
        if found:
            return f"in the {' and the '.join(sorted(found))}"
        return "between saves" if self.newest() > before else "starting"


@dataclass
class Tally:
    """Moments, losses and results of many kills."""

    met: Counter[str] = field(default_factory=Counter[str])
    lost: int = 0
    digests: list[str] = field(default_factory=list[str])
    """Digests of the final weights, one for each run."""


def kill_often(task: Task, bucket: Path, variables: Mapping[str, str], kills: int, rng: random.Random) -> Tally:
    """Kill and continue until so many kills are counted, in as many runs as that takes."""
    tally = Tally()
    while (done := tally.met.total()) < kills:
        number = len(tally.digests)
        mine = replace(task, run=f"{task.run}-{number}", work=f"{task.work}-{number}")
        chain = Chain(mine, bucket, variables)
        while done + len(chain.met) < kills and chain.kill(AIMS[(done + len(chain.met)) % len(AIMS)], rng):
            pass
        tally.digests.append(chain.weights())
        tally.met.update(chain.met)
        tally.lost += chain.lost
    return tally


def _steps(folder: Path) -> list[int]:
    names = (path.name.removeprefix("checkpoint-") for path in (folder.iterdir() if folder.is_dir() else ()))
    return [int(name) for name in names if name.isdecimal()]
