"""One training stage as a program, on a model of a few thousand weights: `python -m tests.rehearsal.trained TASK.json`.

Everything but the inputs is as in a real run: the stage, the supervisor, the committer, the trainer's own program.
"""

import hashlib
import json
import random
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from cortex.artifacts.artifact import fetch, publish
from cortex.artifacts.lease import Lease
from cortex.artifacts.open_store import open_store
from cortex.bases.teacher_model import teacher_folder
from cortex.errors import CortexError
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import RunContext
from cortex.runs.ledger import Ledger
from cortex.runs.run_secret import RunSecret
from cortex.stages import pretrain, sft
from cortex.teaching.labels import ACCEPTED
from cortex.tracking.keeper import tracking_folder
from cortex.trainers.held_out import hold_out
from cortex.trainers.trl_stage import train_with_trl

StageName = Literal["pretrain", "sft", "dpo", "distill", "reward_model", "grpo"]
_PROMPTS = "prompts.jsonl"
_KNOWN = "known.jsonl"
"""The file with a label whose words count as spelled right."""
_PAIRS = "pairs.jsonl"
_JUDGED = "judged.jsonl"
_WORDS = ("flow", "whales", "price", "volume", "rises", "falls", "holds", "calm")


@dataclass(frozen=True)
class Task:
    """Parameters of the program."""

    stage: StageName
    profile: str
    inputs: str
    """The folder that `make_inputs` fills for the stage."""
    url: str
    work: str
    run: str
    python: str
    """The interpreter of the stage and of its trainer."""


def stage(task: Task) -> str:
    """Train to the end, and return the SHA-256 of the final weights."""
    sys.executable = task.python
    store, profile, work = open_store(task.url), load_profile(task.profile), Path(task.work)
    lease = Lease.take(store, task.run)
    inputs = {name: fetch(open_store(task.inputs), name, work) for name in ("label", "sft")}
    secret = RunSecret(task.run, "a secret of tests, 32 letters long")
    context = RunContext(
        task.run, profile, store, work, lease, Ledger(store, task.run, lease.epoch), secret, seen=inputs
    )
    context.ledger.append("stage_started", stage=task.stage)
    output = context.folder(task.stage) / "output"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    labels = inputs["label"].path
    if task.stage == "pretrain":
        pretrain.run(context, output)
    elif task.stage == "sft":
        sft.run(context, output)
    elif task.stage == "dpo":
        dataset, validation = labels / (_JUDGED if profile.dpo and profile.dpo.unpaired else _PAIRS), None
        if profile.dpo and profile.dpo.validate_steps:
            dataset, validation = hold_out(dataset, profile.dpo.validation_examples, context.folder("dpo"))
        train_with_trl(context, "dpo", dataset=dataset, output=output / "model", validation=validation)
    elif task.stage == "reward_model":
        dataset, validation = hold_out(labels / _PAIRS, 8, context.folder("reward_model"))
        train_with_trl(
            context,
            "reward_model",
            dataset=dataset,
            output=output / "model",
            validation=validation,
            further={"held_out": str(output / "counted.json")},
        )
    else:
        further: dict[str, Any] = {"domain": profile.domain.model_dump(mode="json"), "labels": str(labels / _KNOWN)}
        further |= {"samples": str(tracking_folder(context, task.stage) / "samples"), "sample_count": 2}
        if task.stage == "distill":
            further["teacher"] = str(teacher_folder(context))
        else:
            further["validations"] = str(output / "validations.json")
        dataset, validation = labels / _PROMPTS, None
        section = getattr(profile, task.stage)
        if section.validate_steps:
            dataset, validation = hold_out(dataset, section.validation_examples, context.folder(task.stage))
        train_with_trl(
            context,
            task.stage,
            dataset=dataset,
            output=output / "model",
            validation=validation,
            further=further,
        )
    return digest(output / "model")


def digest(model: Path) -> str:
    """The SHA-256 of a model's weights."""
    [weights] = model.glob("*.safetensors")
    return hashlib.sha256(weights.read_bytes()).hexdigest()


def make_inputs(folder: Path, model: Path) -> None:
    """Publish in `folder` a label artifact, with all that the trainers read, and `model` as SFT's artifact."""
    rng, store, labels = random.Random(0), open_store(str(folder)), folder / "labels"
    labels.mkdir(parents=True)
    known = [{"role": "user", "content": ""}, {"role": "assistant", "content": " ".join(_WORDS[::2])}]
    rows: dict[str, list[Any]] = {
        ACCEPTED: [],
        _PAIRS: [],
        _JUDGED: [],
        _PROMPTS: [],
        _KNOWN: [{"example_id": "", "messages": known}],
    }
    for number in range(64):
        prompt = [{"role": "user", "content": _words(rng)}]
        good, bad = ([{"role": "assistant", "content": _words(rng)}] for _ in range(2))
        rows[ACCEPTED].append({"example_id": str(number), "messages": prompt + good})
        rows[_PAIRS].append({"prompt": prompt, "chosen": good, "rejected": bad})
        rows[_JUDGED] += [{"prompt": prompt, "completion": answer, "label": answer is good} for answer in (good, bad)]
        rows[_PROMPTS].append({"prompt": prompt, "example_id": str(number), "truth": str(rng.uniform(-0.1, 0.1))})
    for name, lines in rows.items():
        (labels / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    publish(labels, store, "label", kind="label", code="")
    trained = folder / "trained"
    shutil.copytree(model, trained / "model")
    publish(trained, store, "sft", kind="sft", code="")


def write_profile(
    path: Path,
    model: Path,
    *,
    stage: StageName,
    steps: int,
    save_steps: int,
    lora: bool,
    iterations: int,
    validated: bool = False,
    packed: bool = False,
    loss: Literal["sigmoid", "kto"] = "sigmoid",
    pretrained: bool = False,
    further: Mapping[str, Any] | None = None,
) -> None:
    """Write a profile under which a stage's trainer makes `steps` steps on `model`, in seconds, plotting its metrics.

    `validated` validates on held-out examples every second save, and ends with the best weights; `packed` has SFT put
    several examples into one sequence; `pretrained` pretrains in two phases; `loss` is DPO's, `further` is GRPO's.
    """
    trainer = {
        "learning_rate": 1e-2,
        "warmup_steps": 2,
        "max_steps": steps,
        "save_steps": save_steps,
        "micro_batch_size": 4,
        "hang_limit": {"least_seconds": 120},
    }
    if validated:
        trainer |= {"validate_steps": 2 * save_steps, "validation_examples": 8}
    rewards = {"misspelling": 1.0, "repetition": 1.0, "padding": 1.0, "max_reasoning_words": 2}
    grpo = {"group_size": 4, "iterations": iterations, "max_completion_length": 12}
    # an untrained model ends none of its answers: the collapse rule would stop it
    grpo |= {"collapse": None, "samples": 2}
    # A step of so small a model takes SFT a millisecond. Without accumulation all would be over before a signal that is
    # meant for the middle arrives.
    sft = trainer | {"sequence_length": 64, "sample_packing": packed, "gradient_accumulation": 1 if packed else 8}
    distill = {"teacher": {"base": str(teacher_of(model))}, "max_completion_length": 12, "collapse": None, "samples": 2}
    profile: dict[str, Any] = {
        "name": "tiny",
        "domain": {"kind": "markets", "style": "compact", "rewards": rewards},
        "model": {"base": str(model), "adapter": {"kind": "lora", "r": 2, "alpha": 4} if lora else None},
        "pretrain": _pretrain(trainer) if pretrained else None,
        "sft": sft,
        "dpo": trainer | {"loss": loss} if stage == "dpo" else None,
        "distill": trainer | distill if stage == "distill" else None,
        "reward_model": trainer if stage == "reward_model" else None,
        "grpo": trainer | grpo | dict(further or {}) if stage == "grpo" else None,
        "hardware": {"device": "cpu", "threads": 1},
        "tracking": ["tensorboard"],
    }
    path.write_text(yaml.safe_dump(profile), encoding="utf-8")


def _pretrain(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """A section of as many steps, half of them on sequences of double length; each reads some epochs."""
    section = {key: value for key, value in trainer.items() if key != "max_steps"} | {"gradient_accumulation": 8}
    tokens, source = trainer["max_steps"] // 2 * 4 * 32 * 8, {"run": "labels", "epochs": 99}
    phases = [
        {"name": f"length-{length}", "tokens": tokens, "sequence_length": length, "sources": [source]}
        for length in (16, 32)
    ]
    return section | {"phases": phases, "shuffle": 10}


def teacher_of(model: Path) -> Path:
    """The folder of the model that `model` imitates in distillation."""
    return model.with_name(f"{model.name}-teacher")


def build_model(folder: Path, seed: int = 0) -> None:
    """Some thousand weights, drawn at random, and a tokenizer. It needs torch."""
    from cortex.models.scratch import build
    from cortex.profiles.profile_sections import ScratchModel

    shape = ScratchModel(vocabulary=300, hidden_size=32, intermediate_size=32, layers=1, heads=2, context=96)
    rng = random.Random(1)
    build(shape, [_words(rng) for _ in range(50)], seed, folder)


def _words(rng: random.Random) -> str:
    return " ".join(rng.choices(_WORDS, k=rng.randint(4, 8)))


def main() -> None:
    if sys.argv[1] == "build":
        for seed, folder in enumerate(sys.argv[2:]):
            build_model(Path(folder), seed)
        return
    try:
        print(f"weights {stage(Task(**json.loads(Path(sys.argv[1]).read_text(encoding='utf-8'))))}", flush=True)
    except CortexError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def write_task(path: Path, task: Task) -> Path:
    path.write_text(json.dumps(asdict(task)), encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
