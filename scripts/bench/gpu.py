"""Measurements on one GPU in ten minutes: speed of the trainers, overhead of the kit, and accuracy of the plan.

The model has the shape of a shipped base and random weights, so nothing is downloaded. Each part runs in a process of
its own, alone on the GPU. A part that fails or lacks a package is reported, and the others go on:

- peak: the arithmetic and the bandwidth that this GPU reaches, for comparison with the rest;
- sft, grpo: steps of the trainers at a profile's batch, bare, and under the kit's supervisor with committed
  checkpoints; beside them the memory and time by `cortex.tracing.step_trace`, which runs on fake tensors;
- gptq: the kit's quantization of a few layers.

It needs torch, transformers, PEFT and accelerate. The kit's own packages, TRL and llm-compressor may also be unpacked
wheels in a folder of PYTHONPATH.

    python scripts/bench/gpu.py --out figures.json
    python scripts/bench/gpu.py --only sft,grpo --layers 16
    python scripts/bench/gpu.py --device cpu --shape tiny --rows 2 --tokens 64      # whether it runs at all
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

TINY = {
    "model_type": "llama",
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
ADAPTER = {"r": 32, "lora_alpha": 64, "target_modules": "all-linear", "task_type": "CAUSAL_LM"}
GROUP = 8
WARM = 2
"""First steps that are not counted, since kernels are chosen and memory is allocated in them."""
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--shape", default="meta-llama--Llama-3.1-8B-Instruct", help="in jobs/shapes/, or `tiny`")
    words.add_argument("--layers", type=int, help="default: the shape's")
    words.add_argument("--rows", type=int, default=4, help="sequences of a forward pass")
    words.add_argument("--tokens", type=int, default=2048, help="of a sequence of SFT")
    words.add_argument("--completion", type=int, default=256, help="tokens of an answer of GRPO")
    words.add_argument("--steps", type=int, default=10)
    words.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    words.add_argument("--only", default="peak,sft,grpo,gptq", help="parts, comma-separated")
    words.add_argument("--seconds", type=float, default=540, help="no part is begun after so long")
    words.add_argument("--out", type=Path, help="write the figures here, as JSON")
    options = words.parse_args()
    began, figures = time.monotonic(), dict[str, Any]()
    with tempfile.TemporaryDirectory() as work:
        for part in plan_parts(options.only.split(",")):
            if time.monotonic() - began > options.seconds:
                figures[part] = {"skipped": f"{options.seconds:.0f} s were over"}
            else:
                figures[part] = measure(part, {**vars(options), "out": None, "work": work})
            print(part, json.dumps(figures[part]), flush=True)
    print_table(figures)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def plan_parts(wanted: list[str]) -> list[str]:
    """Names of the programs to run, in order: each trainer bare, under the kit, and its plan."""
    known = {
        "peak": ["peak"],
        "sft": ["sft bare", "sft kit", "sft plan"],
        "grpo": ["grpo bare", "grpo kit", "grpo plan"],
        "gptq": ["gptq"],
    }
    unknown = set(wanted) - set(known)
    if unknown:
        sys.exit(f"--only: there is no {', '.join(sorted(unknown))}: parts are {', '.join(known)}")
    return [part for name in wanted for part in known[name]]


def measure(part: str, options: dict[str, Any]) -> dict[str, Any]:
    """Run one part as a process, and return its measurements, or the reason why it failed."""
    folder = Path(options["work"], part.replace(" ", "-"))
    folder.mkdir()
    task = folder / "task.json"
    task.write_text(json.dumps({**options, "work": str(folder), "part": part}), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, __file__, "--part", task]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, encoding="utf-8")
    result = folder / "result.json"
    if done.returncode or not result.exists():
        return {"failed": " ".join((done.stderr or done.stdout).strip().splitlines()[-1:])[-400:]}
    return json.loads(result.read_text(encoding="utf-8"))


def measure_peak(told: dict[str, Any]) -> dict[str, Any]:
    """Measure bf16 products of square matrices and a copy, each as the median of ten."""
    import torch

    side, device = (8192, "cuda") if told["device"] == "cuda" else (512, "cpu")
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    block = torch.empty(side * side * 8, device=device, dtype=torch.bfloat16)
    product = _median_seconds(lambda: left @ right, device)
    copied = _median_seconds(block.clone, device)
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    moved = 2 * block.numel() * block.element_size()
    return {"device": name, "flops": 2 * side**3 / product, "bandwidth": moved / copied, "torch": torch.__version__}


def _median_seconds(work: Callable[[], Any], device: str) -> float:
    import torch

    def timed() -> float:
        began = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    return statistics.median([timed() for _ in range(13)][3:])


def stage(told: dict[str, Any]) -> None:
    """Run a trainer under the kit's supervisor: events, ledger, committed checkpoints."""
    from cortex.artifacts.lease import Lease
    from cortex.artifacts.open_store import open_store
    from cortex.checkpoints.checkpoints import Checkpoints
    from cortex.checkpoints.supervisor import run_trainer
    from cortex.profiles.profile_file import load_profile
    from cortex.runs.context import RunContext
    from cortex.runs.ledger import Ledger
    from cortex.runs.run_secret import RunSecret

    run, work = "bench", Path(told["work"])
    hardware = {"device": told["device"], "gpus": 1, "threads": os.cpu_count() or 1}
    changed = {"model": {"base": str(work)}, "hardware": hardware, "dpo": None}
    profile = load_profile("cortex-8b", {**changed, "grpo.vllm": None})
    store = open_store(str(work / "bucket"))
    lease = Lease.take(store, run)
    secret = RunSecret(run, "0" * 64)  # its value does not affect the timing
    context = RunContext(run, profile, store, work, lease, Ledger(store, run, lease.epoch), secret)
    checkpoints = Checkpoints(context, "sft", keep=2)
    checkpoints.newest()
    task = work / "trainer.json"
    task.write_text(json.dumps({**told, "saving": str(checkpoints.saving)}), encoding="utf-8")
    run_trainer(context, checkpoints, [sys.executable, __file__, "--train", task], profile.sft.hang_limit)


def train(told: dict[str, Any]) -> None:
    """Run the trainer itself, bare or with the kit's callbacks, and write its seconds a step and its peak memory."""
    import torch
    from transformers import TrainerCallback

    from cortex.trainers.callbacks import kit_callbacks

    step_ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if told["device"] == "cuda":
                torch.cuda.synchronize()
            step_ends.append(time.perf_counter())

    torch.manual_seed(0)
    trainer = (_sft_trainer if told["part"].startswith("sft") else _grpo_trainer)(told)
    for callback in (Clock(), *(kit_callbacks(trainer) if told["part"].endswith("kit") else ())):
        trainer.add_callback(callback)
    began = time.perf_counter()
    trainer.train()
    seconds = [after - before for before, after in zip([began, *step_ends], step_ends, strict=False)]
    peak = torch.cuda.max_memory_allocated() if told["device"] == "cuda" else None
    # Steps with saves count, since the kit's overhead comes with the saves.
    counted = seconds[WARM:]
    found = {"step": statistics.median(counted), "mean_step": statistics.fmean(counted), "peak": peak}
    Path(told["work"], "result.json").write_text(json.dumps(found), encoding="utf-8")


def _arguments(told: dict[str, Any]) -> dict[str, Any]:
    gpu = told["device"] == "cuda"
    return {
        "output_dir": told["saving"],
        "per_device_train_batch_size": told["rows"],
        "max_steps": told["steps"],
        "save_steps": max(1, told["steps"] // 2 - 1),
        "save_total_limit": None if told["part"].endswith("kit") else 2,
        "learning_rate": 1e-5,
        "logging_steps": 1,
        "bf16": gpu,
        "use_cpu": not gpu,
        "gradient_checkpointing": True,
        "report_to": [],
        "disable_tqdm": True,
    }


def _model(told: dict[str, Any], *, adapter: bool = True) -> Any:
    """A model of the shape with random weights, created on the device."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = shape_of(told)
    dtype = torch.bfloat16 if told["device"] == "cuda" else torch.float32
    with torch.device(told["device"]):
        config = AutoConfig.for_model(shape.pop("model_type"), **shape)
        model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation="sdpa")
    model.generation_config.eos_token_id = None  # so that all answers have the maximum length
    return get_peft_model(model, LoraConfig(**ADAPTER)) if adapter else model


def shape_of(told: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the base, with the number of layers that the options ask for."""
    path = ROOT / "jobs" / "shapes" / told["shape"] / "config.json"
    shape = dict(TINY) if told["shape"] == "tiny" else json.loads(path.read_text(encoding="utf-8"))
    if told["layers"]:
        shape["num_hidden_layers"] = told["layers"]
    return shape


def _sft_trainer(told: dict[str, Any]) -> Any:
    import torch
    from transformers import Trainer, TrainingArguments

    model = _model(told)
    model.enable_input_require_grads()
    rows: Any = [{"input_ids": row, "labels": row} for row in torch.randint(512, (64, told["tokens"]))]
    return Trainer(model, TrainingArguments(**_arguments(told)), train_dataset=rows)


def _grpo_trainer(told: dict[str, Any]) -> Any:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    arguments = _arguments(told) | {
        "num_generations": GROUP,
        "per_device_train_batch_size": GROUP,
        "max_completion_length": told["completion"],
        "beta": 0.0,
    }
    rows = Dataset.from_list([{"prompt": [{"role": "user", "content": f"w{at % 97} " * 32}]} for at in range(64)])

    def reward_fn(completions: list[Any], **_: Any) -> list[float]:
        return [float(at % 3) for at in range(len(completions))]

    return GRPOTrainer(
        model=_model(told),
        reward_funcs=[reward_fn],
        args=GRPOConfig(**arguments),
        train_dataset=rows,
        processing_class=_tokenizer(),
    )


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: at for at, word in enumerate(["<pad>", "<eos>", "<unk>", *(f"w{at}" for at in range(500))])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, chat_template=TEMPLATE, padding_side="left", **special)


def plan_step(told: dict[str, Any], peak: dict[str, float]) -> dict[str, Any]:
    """The kit's plan of the same step, for the arithmetic and bandwidth that were measured here."""
    from cortex.tracing.step_request import StepRequest
    from cortex.tracing.step_trace import trace

    grpo = told["part"].startswith("grpo")
    shape = shape_of(told)
    request = StepRequest(
        config=shape,
        kind="grpo" if grpo else "sft",
        layers=int(shape["num_hidden_layers"]),
        rows=GROUP if grpo else told["rows"],
        tokens=32 + told["completion"] if grpo else told["tokens"],
        scored=told["completion"] if grpo else told["tokens"],
        adapter=ADAPTER,
        half=told["device"] == "cuda",
        flops=peak["flops"],
        bandwidth=peak["bandwidth"],
    )
    segments = trace(request).segments.values()
    return {
        "step": sum(segment.seconds for segment in segments),
        "peak": max(segment.peak for segment in segments),
        "operations": sum(segment.operations for segment in segments),
    }


def measure_gptq(told: dict[str, Any]) -> dict[str, Any]:
    """Measure the kit's quantization of a model with two layers, in seconds a layer."""
    from cortex.models.quantize import gptq
    from cortex.profiles.export_section import Gptq

    layers, folder = 2, Path(told["work"])
    model = _model({**told, "layers": layers}, adapter=False)
    model.cpu().save_pretrained(folder / "whole")
    _tokenizer().save_pretrained(folder / "whole")
    del model
    asked = [{"role": "user", "content": "w1 w2 w3 " * 100}]
    wanted = Gptq(bits=4, group_size=32 if told["shape"] == "tiny" else 128, max_kl=1, max_loss_rise=1)
    began = time.perf_counter()
    gptq(folder / "whole", folder / "copy", wanted, [asked] * 64, seed=0, device=told["device"])
    return {"seconds_per_layer": (time.perf_counter() - began) / layers}


def run_part(told: dict[str, Any]) -> None:
    """Run one part in this process, and write its result."""
    part, folder = told["part"], Path(told["work"])
    needed = {"grpo": "trl", "gptq": "llmcompressor"}.get(part.split()[0])
    if needed and not part.endswith("plan") and importlib.util.find_spec(needed) is None:
        found: dict[str, Any] = {"skipped": f"{needed} is not here"}
    elif part == "peak":
        found = measure_peak(told)
    elif part == "gptq":
        found = measure_gptq(told)
    elif part.endswith("plan"):
        found = plan_step(told, measure_peak(told))
    elif part.endswith("kit"):
        stage(told)
        return
    else:
        train({**told, "saving": str(folder / "trainer")})
        return
    (folder / "result.json").write_text(json.dumps(found), encoding="utf-8")


def print_table(figures: dict[str, dict[str, Any]]) -> None:
    """Print the ratios as a table."""
    peak = figures.get("peak", {})
    if "flops" in peak:
        reached = f"{peak['flops'] / 1e12:.1f} TFLOP/s in bf16, {peak['bandwidth'] / 1e12:.2f} TB/s"
        print(f"\n{peak['device']}: {reached}, torch {peak['torch']}")
    print("\n| | bare, s a step | kit / bare | planned / bare | planned / measured memory | of the peak's FLOPs |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in ("sft", "grpo"):
        bare, kit, plan = (figures.get(f"{name} {kind}", {}) for kind in ("bare", "kit", "plan"))
        if "step" not in bare:
            continue
        cells = [f"{bare['step']:.3f}", _ratio(kit.get("mean_step"), bare["mean_step"])]
        cells += [_ratio(plan.get("step"), bare["step"]), _ratio(plan.get("peak"), bare["peak"])]
        used = plan.get("operations", 0) / bare["step"]
        cells += [f"{used / peak['flops']:.0%}" if used and "flops" in peak else "-"]
        print(f"| {name} | {' | '.join(cells)} |")
    if "seconds_per_layer" in figures.get("gptq", {}):
        print(f"\ngptq: {figures['gptq']['seconds_per_layer']:.1f} s a layer, loading and saving included")
    print("\nA step of grpo holds its rollout; what is planned of it here is the training pass alone.")


def _ratio(one: float | None, other: float | None) -> str:
    return f"{one / other:.3f}" if one and other else "-"


if __name__ == "__main__":
    if sys.argv[1:2] in (["--part"], ["--train"]):
        (run_part if sys.argv[1] == "--part" else train)(json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
    else:
        main()
