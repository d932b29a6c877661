"""The bench on which cases are tried: both sides, undisturbed and interrupted, ready to be copied and damaged."""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cortex.drill.attempts import Runner, kill
from cortex.drill.breaks import Break
from cortex.drill.faults import Sound
from cortex.drill.side_verdict import Reference
from cortex.drill.sides import Bare, Kit, Side, environment
from cortex.drill.stage_inputs import enter_run, make_data
from cortex.drill.stand_in import StandIn, Trainer, stand_in
from cortex.drill.warmth import MODULES, warm
from cortex.errors import StageError
from cortex.local.environments import on_path
from cortex.process import running
from cortex.profiles.profile import Profile

RUN, OTHER = "drill", "another"


@dataclass
class Bench:
    """The bench of one trainer. Machines are folders in `machines`."""

    standin: StandIn
    folder: Path
    warm: Runner
    cold: Runner
    kit: Kit
    bare: Bare
    references: dict[str, Reference] = field(default_factory=dict[str, Reference])
    foreign: dict[str, Path] = field(default_factory=dict[str, Path])
    """The newest checkpoint of another run, by side."""

    @property
    def stage(self) -> Trainer:
        return self.standin.stage

    @property
    def machines(self) -> Path:
        return self.folder / "machines"

    def interrupted(self, side: Side) -> Path:
        """The machine that was killed one step after its newest checkpoint."""
        return self.machines / f"{side.name}-interrupted"

    def machine(self, name: str, side: Side) -> Path:
        """A new copy of the interrupted machine. The S3 server takes its folder's name as a bucket's name."""
        machine = self.machines / f"{side.name}-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')[:50]}"
        side.copy(self.interrupted(side), machine)
        return machine

    def sound(self, side: Side) -> Sound:
        return Sound(side.checkpoint(self.interrupted(side), self.standin.older), self.foreign[side.name])

    def stop(self, machine: Path, what: str, *, at: Literal["writes", "renames", "says"] = "says") -> Break:
        """A break whose marker lies on the machine."""
        return Break(at, what, str(machine / "stopped"))

    def step(self, machine: Path, step: int) -> Break:
        """A break just after a step."""
        return self.stop(machine, rf'"event": ?"step", ?"step": ?{step}\b')  # JSON with blanks or without

    def undisturbed(self, side: Side) -> None:
        """Train to the end without a fault, for the weights and losses that all other trainings are compared with.

        Raises:
            StageError: it fails, or trains nothing: then the drill has nothing to compare with.
        """
        machine = self.machines / f"{side.name}-undisturbed"
        side.begin(machine)
        outcome = self.warm.run_until_done(side, machine)
        if outcome.weights is None:
            log = machine / "attempt-1.log"
            raise StageError(f"{side.name}: the undisturbed training failed ({outcome.last.error}): {log} says why")
        self.references[side.name] = Reference(outcome.weights, outcome.last.seen, self.standin.section.max_steps)

    def interrupt(self, side: Side, machine: Path) -> None:
        """Train, and kill the trainer one step after the checkpoint that is to be the newest."""
        side.begin(machine)
        one = self.step(machine, self.standin.reached)
        with self.warm.start(side, machine, machine / "killed.log", one) as process:
            self.warm.until(one, process)
            self.settled(side, machine, self.standin.newest, process)
            kill(process)

    def settled(self, side: Side, machine: Path, step: int, process: "subprocess.Popen[str]") -> None:
        """Wait until the checkpoint of a step is complete."""
        manifest = side.checkpoint(machine, step) / ("manifest.json" if isinstance(side, Kit) else "trainer_state.json")
        self.warm.wait(manifest.exists, process, f"committed checkpoint {step}")

    def discard(self, machine: Path) -> None:
        shutil.rmtree(machine, ignore_errors=True)


@contextmanager
def bench(profile: Profile, stage: Trainer, python: Path, folder: Path, stopping: threading.Event) -> Generator[Bench]:
    """Prepare both sides of a profile's stand-in in an empty folder, with a Python of the trainer's image.

    Raises:
        ConfigError: the profile has no stand-in.
        StageError: its trainer does not run here.
    """
    standin = stand_in(profile, stage, folder / "base")
    other = stand_in(profile, stage, folder / "base", seed=(profile.seed + 1) % 2**31)
    variables = {**environment(standin), **on_path(python.parent.parent)}
    variables["PATH"] = f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    made = folder / "made"
    spec = make_data(standin.profile, made)
    (folder / "machines").mkdir()
    with warm(python, MODULES[stage], variables, folder / "warm.log") as programs:
        _build(programs, spec, variables, folder / "build.log")
        enter_run(standin, made, folder / "ground", RUN)
        enter_run(other, made, folder / "other", OTHER)
        ready = Bench(
            standin,
            folder,
            Runner(programs, variables, stopping),
            Runner(python.parent, variables, stopping),
            Kit(standin, folder / "ground", RUN),
            Bare(standin, folder / "ground", RUN),
        )
        for side in (ready.bare, ready.kit):
            ready.undisturbed(side)
            ready.interrupt(side, ready.interrupted(side))
        _compare(ready)
        for side in (Bare(other, folder / "other", OTHER), Kit(other, folder / "other", OTHER)):
            machine = ready.machines / f"{side.name}-foreign"
            ready.interrupt(side, machine)
            ready.foreign[side.name] = side.checkpoint(machine, standin.newest)
        yield ready


def _build(programs: Path, spec: Path, variables: dict[str, str], log: Path) -> None:
    with (
        log.open("w", encoding="utf-8") as output,
        running(
            [programs / "python", "-m", "cortex.drill.build_stand_in", spec],
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        if process.wait():
            raise StageError(f"the tiny model could not be built: {log} says why")


def _compare(ready: Bench) -> None:
    """Check that both sides train alike while nothing happens, and that they train at all."""
    bare, kit = ready.references["bare"], ready.references["kit"]
    if bare.weights != kit.weights:
        raise StageError(
            f"undisturbed, the bare trainer and the kit end in other weights: {ready.machines} holds both; a drill "
            "could not tell a damage from that"
        )
    if not any(values.get("grad_norm") for values in bare.seen.steps.values()):
        raise StageError("the stand-in trains nothing (its gradients are all zero): a drill could show nothing")
