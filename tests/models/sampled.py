"""Answers drawn as a stage draws them, as a program: `python -m tests.models.sampled TASK.json`.

`python -m tests.models.sampled build FOLDER` makes what it samples from: a Llama of a few thousand weights, two
adapters that change what it says, and the first of them merged.
"""

import json
import random
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from cortex.artifacts.lease import Lease
from cortex.artifacts.open_store import open_store
from cortex.errors import CortexError
from cortex.models.sampling import Asked, SampledModel
from cortex.models.stored_answers import sample_answers
from cortex.profiles.profile_file import load_profile
from cortex.runs.context import RunContext
from cortex.runs.ledger import Ledger
from cortex.runs.run_secret import RunSecret
from tests.conversations import ask

RUN = "sampled"
WORDS = ("flow", "whales", "price", "volume", "rises", "falls", "holds", "calm")
ADAPTERS = ("sft", "dpo")
MODELS = ("base", *ADAPTERS, "merged")


@dataclass(frozen=True)
class Task:
    """Parameters of the program."""

    profile: str
    models: str
    """The folder that `build` filled."""
    names: tuple[str, ...]
    url: str
    work: str
    prompts: tuple[str, ...]
    asked: dict[str, Any]
    output: str
    """The file of the answers."""


def prompts(count: int) -> tuple[str, ...]:
    """Prompts of differing lengths, no two alike, not in the order of their lengths."""
    rng = random.Random(2)
    return tuple(f"{number} " + " ".join(rng.choices(WORDS, k=rng.randint(2, 12))) for number in range(count))


def write_profile(path: Path, models: Path, **sampling: Any) -> Path:
    """A profile of these models."""
    trainer = {"learning_rate": 1e-3, "max_steps": 1, "save_steps": 1, "micro_batch_size": 8}
    profile = {
        "name": "sampled",
        "domain": {"kind": "markets"},
        "model": {"base": str(models / "base"), "adapter": {"r": 4, "alpha": 8}},
        "sft": trainer,
        "grpo": trainer,
        "evaluate": {"batch_size": sampling.get("batch_size", 5)},
        "sampling": sampling,
        "hardware": {"device": "cpu", "threads": 1},
    }
    path.write_text(yaml.safe_dump(profile), encoding="utf-8")
    return path


def sampled_model(folder: Path, name: str) -> SampledModel:
    """One of what `build` made."""
    return SampledModel(name, str(folder / name), str(folder / "base"), (name,))


def sample(task: Task) -> None:
    """Draw the answers, going on from what is kept."""
    store = open_store(task.url)
    lease = Lease.take(store, RUN)
    secret = RunSecret(RUN, "a secret of tests, 32 letters long")
    profile = load_profile(task.profile)
    context = RunContext(RUN, profile, store, Path(task.work), lease, Ledger(store, RUN, lease.epoch), secret)
    models = [sampled_model(Path(task.models), name) for name in task.names]
    answers = sample_answers(context, "evaluate", models, ask(*task.prompts), Asked(**task.asked), gpus=1)
    Path(task.output).write_text(json.dumps(answers), encoding="utf-8")


def build(folder: Path) -> None:
    """Fill the folder. Weights are drawn wide, so that the likeliest token leads by far, whatever the order of sums."""
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from cortex.models.scratch import build as build_scratch
    from cortex.profiles.profile_sections import ScratchModel

    # vLLM's attention on a CPU takes heads of 32 and more.
    shape = ScratchModel(vocabulary=300, hidden_size=64, intermediate_size=64, layers=2, heads=2, context=96)
    base = folder / "base"
    build_scratch(shape, prompts(50), 0, base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    generator = torch.Generator().manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(base)
    _draw(model, 0.3, generator)
    model.save_pretrained(base)
    for name in ADAPTERS:
        adapted = get_peft_model(
            AutoModelForCausalLM.from_pretrained(base),
            LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"),
        )
        _draw(adapted, 0.3, generator)
        adapted.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    whole = AutoModelForCausalLM.from_pretrained(base)
    merged: Any = PeftModel.from_pretrained(whole, folder / ADAPTERS[0])
    merged.merge_and_unload().save_pretrained(folder / "merged")
    tokenizer.save_pretrained(folder / "merged")


def _draw(model: Any, width: float, generator: Any) -> None:
    """Draw anew all matrices that train."""
    for weight in model.parameters():
        if weight.requires_grad and weight.dim() == 2:
            weight.data.normal_(0, width, generator=generator)


def write_task(path: Path, task: Task) -> Path:
    path.write_text(json.dumps(asdict(task)), encoding="utf-8")
    return path


def main() -> None:
    if sys.argv[1] == "build":
        build(Path(sys.argv[2]))
        return
    told = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        sample(Task(**told | {"names": tuple(told["names"]), "prompts": tuple(told["prompts"])}))
    except CortexError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
