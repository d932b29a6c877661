"""Cost of committed checkpoints and of a restart, compared with a bare trainer that saves at the same steps.

One Hugging Face Trainer runs on this machine's CPU in turns: alone, keeping its two newest saves, and under the kit's
supervisor, which hashes, renames and prunes beside it. Then each is started again: the bare one from a checkpoint that
is known to be good, the kit from the newest one that it finds and verifies. Load on the machine affects both runs of a
round alike, so the result is the median of the rounds' ratios. Only a folder under --work is written, and removed.

    python scripts/bench/checkpoints.py --rounds 5
    python scripts/bench/checkpoints.py --rounds 5 --hidden 512 --layers 8
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from cortex.artifacts.lease import Lease  # noqa: E402
from cortex.artifacts.open_store import open_store  # noqa: E402
from cortex.checkpoints.checkpoints import Checkpoints  # noqa: E402
from cortex.checkpoints.supervisor import run_trainer  # noqa: E402
from cortex.checkpoints.trainer_command import trainer_environment  # noqa: E402
from cortex.local.environments import environment, on_path  # noqa: E402
from cortex.profiles.profile_file import load_profile  # noqa: E402
from cortex.runs.context import RunContext  # noqa: E402
from cortex.runs.ledger import Ledger  # noqa: E402
from cortex.runs.run_secret import RunSecret  # noqa: E402
from cortex.settings import Settings  # noqa: E402

RUN = "bench"


def main() -> None:
    words = argparse.ArgumentParser(description="Measure what checkpoints cost, side by side.")
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--steps", type=int, default=45)
    words.add_argument("--save-steps", type=int, default=10)
    words.add_argument("--hidden", type=int, default=256)
    words.add_argument("--layers", type=int, default=4)
    words.add_argument("--work", type=Path, help="a folder on the disk to measure; default: a temporary one")
    options = words.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        bench = Bench(Path(work), options)
        rounds = [bench.round(number) for number in range(options.rounds)]
    print_table(rounds, saves=(options.steps - 1) // options.save_steps)


class Bench:
    """The programs to measure, and their folders."""

    def __init__(self, work: Path, options: argparse.Namespace) -> None:
        self.work, self.profile = work, work / "bench.yaml"
        trainer = {
            "learning_rate": 1e-3,
            "max_steps": options.steps,
            "save_steps": options.save_steps,
            "micro_batch_size": 8,
        }
        hardware = {"device": "cpu", "threads": 1}
        raw = {"name": RUN, "model": {"base": str(work)}, "sft": trainer, "grpo": trainer, "hardware": hardware}
        self.profile.write_text(yaml.safe_dump(raw), encoding="utf-8")
        self.sizes = {"hidden": options.hidden, "layers": options.layers}
        made = environment("grpo", Settings())
        self.python = made / "bin" / "python"
        self.environment = trainer_environment(load_profile(str(self.profile))) | on_path(made)
        self.environment["AWS_EC2_METADATA_DISABLED"] = "true"
        self.last_save = (options.steps - 1) // options.save_steps * options.save_steps

    def round(self, number: int) -> dict[str, float]:
        """One measurement of each program, in seconds; the order alternates between rounds."""
        folders = {kind: self.work / kind for kind in ("bare", "kit")}
        order = list(folders) if number % 2 == 0 else list(folders)[::-1]
        told: dict[str, dict[str, float]] = {}
        for kind in order:
            told[kind] = self.measure(kind, folders[kind], resume=None)
        good = folders["bare"] / "trainer" / f"checkpoint-{self.last_save}"
        for kind in order:
            told[f"{kind} again"] = self.measure(kind, folders[kind], resume=good)
        size = sum(path.stat().st_size for path in good.rglob("*") if path.is_file())
        for folder in folders.values():
            shutil.rmtree(folder)
        found = {"bare": told["bare"]["training"], "kit": told["kit"]["training"], "mib": size / 2**20}
        found |= {f"{kind} restart": told[f"{kind} again"]["first_step"] for kind in folders}
        print(json.dumps({name: round(value, 3) for name, value in found.items()}), flush=True)
        return found

    def measure(self, kind: str, folder: Path, resume: Path | None) -> dict[str, float]:
        """Run one program, and return the seconds of its training, and from the command to its first new step."""
        folder.mkdir(exist_ok=True)
        result, task = folder / "result.json", folder / "task.json"
        told = {"profile": str(self.profile), "work": str(folder), "result": str(result), **self.sizes}
        if kind == "bare":
            told |= {"saving": str(folder / "trainer"), "resume": str(resume) if resume else None}
        task.write_text(json.dumps(told), encoding="utf-8")
        began = time.time()
        program = [self.python, __file__, _PROGRAMS[kind], task]
        done = subprocess.run(
            program, env=self.environment, capture_output=True, text=True, check=False, encoding="utf-8"
        )
        if done.returncode:
            sys.exit(f"{kind} exited with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
        measured = json.loads(result.read_text(encoding="utf-8"))
        return {"training": measured["training"], "first_step": measured["first_step"] - began}


_PROGRAMS = {"bare": "--train", "kit": "--stage"}


def stage(told: dict[str, Any]) -> None:
    """Run the trainer under the kit's supervisor."""
    store, profile = open_store(str(Path(told["work"], "bucket"))), load_profile(told["profile"])
    lease = Lease.take(store, RUN)
    secret = RunSecret(RUN, "0" * 64)  # its value does not affect the timing
    context = RunContext(RUN, profile, store, Path(told["work"]), lease, Ledger(store, RUN, lease.epoch), secret)
    checkpoints = Checkpoints(context, "sft", keep=2)
    resume = checkpoints.newest()
    task = Path(told["work"], "trainer.json")
    further = {"saving": str(checkpoints.saving), "resume": str(resume) if resume else None, "kit": True}
    task.write_text(json.dumps(told | further), encoding="utf-8")
    run_trainer(context, checkpoints, [sys.executable, __file__, "--train", task], profile.sft.hang_limit)


def train(told: dict[str, Any]) -> None:
    """Run the trainer itself."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

    from cortex.trainers.callbacks import kit_callbacks

    class FirstStep(TrainerCallback):
        at = 0.0

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.at = self.at or time.time()

    sft, first = load_profile(told["profile"]).sft, FirstStep()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=told["hidden"],
        intermediate_size=3 * told["hidden"],
        num_hidden_layers=told["layers"],
        num_attention_heads=4,
        num_key_value_heads=4,
    )
    arguments = TrainingArguments(
        output_dir=told["saving"],
        max_steps=sft.max_steps,
        save_steps=sft.save_steps,
        save_total_limit=None if told.get("kit") else 2,
        learning_rate=sft.learning_rate,
        per_device_train_batch_size=sft.micro_batch_size,
        logging_steps=1,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
    )
    rows: Any = [{"input_ids": row, "labels": row} for row in torch.randint(4096, (256, 64))]
    trainer = Trainer(LlamaForCausalLM(config), arguments, train_dataset=rows)
    for callback in (*(kit_callbacks(trainer) if told.get("kit") else ()), first):
        trainer.add_callback(callback)
    began = time.monotonic()
    trainer.train(resume_from_checkpoint=told["resume"])
    measured = {"training": time.monotonic() - began, "first_step": first.at}
    Path(told["result"]).write_text(json.dumps(measured), encoding="utf-8")


def print_table(rounds: list[dict[str, float]], saves: int) -> None:
    """Print medians over the rounds, and the range of the ratios."""
    mib = statistics.median(one["mib"] for one in rounds)
    print(f"\n{len(rounds)} rounds, {saves} saves of {mib:.0f} MiB each\n")
    print("|  | bare | kit | kit / bare, median (range) |\n|---|---:|---:|---:|")
    for label, name in (("training, s", ""), ("command to first new step, s", " restart")):
        bare, kit = ([one[f"{kind}{name}"] for one in rounds] for kind in ("bare", "kit"))
        ratios = [mine / theirs for mine, theirs in zip(kit, bare, strict=True)]
        middle = f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        print(f"| {label} | {statistics.median(bare):.2f} | {statistics.median(kit):.2f} | {middle} |")
    stall = statistics.median((one["kit"] - one["bare"]) / saves for one in rounds)
    print(f"\nfurther stall per save: {1000 * stall:.0f} ms")


if __name__ == "__main__":
    if sys.argv[1:2] in (["--train"], ["--stage"]):
        (train if sys.argv[1] == "--train" else stage)(json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
    else:
        main()
