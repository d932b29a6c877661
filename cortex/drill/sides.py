"""The two sides of the comparison: a trainer as most scripts run it, and the same trainer under the kit.

Each has its own folder for every case, called its machine: copied from an interrupted one, then damaged.
"""

import hashlib
import json
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cortex.artifacts.open_store import open_store
from cortex.checkpoints.trainer_command import AXOLOTL, trainer_environment
from cortex.drill.spoken import heard
from cortex.drill.stand_in import StandIn
from cortex.runs.ledger import LedgerReader
from cortex.runs.run_secret import SECRET_VARIABLE
from cortex.teaching.labels import ACCEPTED
from cortex.trainers.axolotl_config import axolotl_config
from cortex.trainers.trl_config import grpo_arguments, lora_arguments

RUN = "drill"

SECRET = "what-a-launch-hands-to-each-of-a-runs-machines"

_ERROR = re.compile(r"^(?:\[?rank\d+\]?:? ?)?((?:\w+\.)*\w*(?:Error|Exception|Interrupt))(?::|$)")


@dataclass
class Seen:
    """Observed progress of an attempt. Times are of `time.time`."""

    resumed: int | None = None
    """The step that it resumed from; None while it made no step."""
    first: float | None = None
    """Time of its first step."""
    steps: dict[int, dict[str, float]] = field(default_factory=dict[int, dict[str, float]])
    """Metrics of each step."""
    last: int = 0


class Side(ABC):
    """A trainer, run in one way."""

    name: str

    def __init__(self, standin: StandIn, ground: Path, run: str) -> None:
        self.standin = standin
        self.stage = standin.stage
        self.ground = ground
        """Folder of the artifacts of the earlier stages."""
        self.run = run

    @abstractmethod
    def begin(self, machine: Path) -> None:
        """Make a machine on which no training has begun."""

    @abstractmethod
    def copy(self, machine: Path, target: Path) -> None:
        """Make a copy of another machine."""

    @abstractmethod
    def join(self, machine: Path, target: Path) -> None:
        """Make a machine for a second instance of another machine's job, sharing what two instances share."""

    @abstractmethod
    def command(self, machine: Path, programs: Path) -> list[str | Path]:
        """Command that starts or resumes the training, with the programs of a folder."""

    @abstractmethod
    def variables(self, machine: Path) -> dict[str, str]:
        """Its environment variables, besides those of every trainer."""

    @abstractmethod
    def checkpoint(self, machine: Path, step: int) -> Path:
        """Folder of the checkpoint of a step, once it is complete."""

    @abstractmethod
    def seen(self, machine: Path, log: Path, since: float) -> Seen:
        """Progress observed since a moment."""

    @abstractmethod
    def model(self, machine: Path) -> Path:
        """Folder for the trained model."""

    def weights(self, machine: Path) -> str | None:
        """Hash over the trained weights; None where the training did not finish."""
        files = sorted(self.model(machine).glob("*.safetensors"))
        if not files:
            return None
        total = hashlib.sha256()
        for path in files:
            total.update(path.name.encode() + path.read_bytes())
        return total.hexdigest()


class Kit(Side):
    """`cortex run`, as on a rented machine: the bucket outlives it, and its disk may."""

    name = "kit"

    def begin(self, machine: Path) -> None:
        shutil.copytree(self.ground / "bucket", machine / "bucket")
        (machine / "home").mkdir()

    def copy(self, machine: Path, target: Path) -> None:
        shutil.copytree(machine / "bucket", self.bucket(target))
        shutil.copytree(machine / "home", target / "home", ignore=_pipes)

    def join(self, machine: Path, target: Path) -> None:
        (target / "home").mkdir(parents=True)
        (target / "bucket").symlink_to(machine / "bucket")

    def bucket(self, machine: Path) -> Path:
        """The folder of the bucket's objects."""
        return machine / "bucket"

    def command(self, machine: Path, programs: Path) -> list[str | Path]:
        return [programs / "python", "-m", "cortex", "run", self.stage, "--run", self.run]

    def variables(self, machine: Path) -> dict[str, str]:
        home, bucket = str(machine / "home"), str(self.bucket(machine))
        return {"CORTEX_HOME": home, "CORTEX_BUCKET": bucket, SECRET_VARIABLE: SECRET}

    def checkpoint(self, machine: Path, step: int) -> Path:
        return self.bucket(machine) / "runs" / self.run / self.stage / "checkpoints" / str(step)

    def model(self, machine: Path) -> Path:
        return self.bucket(machine) / "runs" / self.run / self.stage / "artifact" / "model"

    def events(self, machine: Path, since: float) -> list[dict[str, Any]]:
        """The ledger's events since a moment."""
        events = LedgerReader(open_store(str(self.bucket(machine))), self.run).new_events()
        return [event for event in events if event["time"] >= since]

    def seen(self, machine: Path, log: Path, since: float) -> Seen:
        seen = Seen()
        for event in self.events(machine, since):
            if event["event"] == "progress":
                _note(seen, event["step"], event, event["time"])
        return seen


class KitFromS3(Kit):
    """The kit's side on a new machine, whose bucket is behind an S3 server that serves the folder of all machines."""

    def __init__(self, standin: StandIn, ground: Path, run: str, server: Mapping[str, str]) -> None:
        super().__init__(standin, ground, run)
        self._server = server

    def copy(self, machine: Path, target: Path) -> None:
        shutil.copytree(machine / "bucket", self.bucket(target))
        (target / "home").mkdir()

    def variables(self, machine: Path) -> dict[str, str]:
        return {**super().variables(machine), "CORTEX_BUCKET": f"s3://{machine.name}/bucket", **self._server}


def _pipes(folder: str, names: list[str]) -> list[str]:
    """Names of event pipes, to leave out of a copy: a disk that moves to another machine has no open pipe."""
    return [name for name in names if Path(folder, name).is_fifo()]


class Bare(Side):
    """The trainer alone: it saves into a folder, and resumes from the highest number in it."""

    name = "bare"

    def begin(self, machine: Path) -> None:
        machine.mkdir(parents=True)

    def copy(self, machine: Path, target: Path) -> None:
        target.mkdir(parents=True)
        for name in ("saved", "prepared"):
            if (machine / name).exists():
                shutil.copytree(machine / name, target / name)

    def join(self, machine: Path, target: Path) -> None:
        target.mkdir(parents=True)
        for name in ("saved", "model"):
            (machine / name).mkdir(exist_ok=True)
            (target / name).symlink_to(machine / name)

    def command(self, machine: Path, programs: Path) -> list[str | Path]:
        profile, saved = self.standin.profile, machine / "saved"
        run = self.ground / "bucket" / "runs" / self.run
        assert profile.model.base is not None
        if self.stage == "sft":
            accepted = run / "label" / "artifact" / ACCEPTED
            config = axolotl_config(profile, profile.model.base, accepted, saved, machine / "prepared", None)
            config |= {"plugins": ["cortex.drill.axolotl_witness.WitnessPlugin"], "auto_resume_from_checkpoints": True}
            path = machine / "axolotl.yaml"
            path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
            return [programs / "python", "-m", AXOLOTL, "train", path, "--launcher", "python"]
        adapter = profile.model.adapter
        task = {
            "model": str(run / "sft" / "artifact" / "model"),
            "base": profile.model.base,
            "attention": profile.model.attention,
            "device": "cpu",
            "adapter": lora_arguments(adapter) if adapter else None,
            "dataset": str(self.ground / "prompts.jsonl"),
            "arguments": grpo_arguments(profile, saved),
            "resume": None,
            "output": str(self.model(machine)),
            "domain": profile.domain.model_dump(mode="json"),
            "labels": str(run / "label" / "artifact" / ACCEPTED),
        }
        path = machine / "task.json"
        path.write_text(json.dumps(task), encoding="utf-8")
        return [programs / "python", "-m", "cortex.drill.bare_grpo", path]

    def variables(self, machine: Path) -> dict[str, str]:
        return {}

    def checkpoint(self, machine: Path, step: int) -> Path:
        return machine / "saved" / f"checkpoint-{step}"

    def model(self, machine: Path) -> Path:
        return machine / ("saved" if self.stage == "sft" else "model")

    def seen(self, machine: Path, log: Path, since: float) -> Seen:
        seen, at = Seen(), 0.0
        for event in _events(log):
            match event:
                case {"event": "step", "step": step, "at": at}:
                    _note(seen, step, {}, at)
                case {"event": "progress", "step": step, **values}:
                    _note(seen, step, values, at)
                case _:
                    pass
        return seen


def environment(standin: StandIn) -> dict[str, str]:
    """The variables of both sides: a trainer's, quiet and offline, and no cloud that is asked for a notice."""
    inherited = trainer_environment(standin.profile)
    kept = {name: value for name, value in inherited.items() if not name.startswith(("CORTEX_", "RUN_ID"))}
    return kept | {"AWS_EC2_METADATA_DISABLED": "true"}


def error_of(log: Path) -> str:
    """The type of the error that a program ended with, as its log tells it."""
    found = [
        match[1]
        for line in log.read_text(errors="replace", encoding="utf-8").splitlines()
        if (match := _ERROR.match(line))
    ]
    return found[-1].rpartition(".")[2] if found else "no error told"


def _events(log: Path) -> list[dict[str, Any]]:
    lines = log.read_text(errors="replace", encoding="utf-8").splitlines() if log.exists() else []
    return [event for line in lines if (event := heard(line))]


def _note(seen: Seen, step: int, values: Mapping[str, Any], at: float) -> None:
    if seen.first is None:
        seen.first, seen.resumed = at, step - 1
    seen.last = max(seen.last, step)
    measured = {name: float(values[name]) for name in ("loss", "reward", "grad_norm") if name in values}
    seen.steps[step] = seen.steps.get(step, {}) | measured
