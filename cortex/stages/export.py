"""export: the final weights, whole, and the GPTQ copies that stay close enough to them."""

import shutil
from pathlib import Path

import polars as pl

from cortex.dataset import read_examples, take_evenly
from cortex.reasoning.labels import accepted_conversations
from cortex.runs.base_model import base_folder
from cortex.runs.context import RunContext
from cortex.runs.profile import Gptq, Profile
from cortex.training.copies import QuantizedCopy, judge_copy, write_copies
from cortex.training.generate import generate
from cortex.training.models import load_tokenizer, loaded
from cortex.training.quantize import gptq, mean_divergence


def run(context: RunContext, output: Path) -> None:
    profile = context.profile
    trained = context.artifact("grpo").path / "model"
    whole = output / "model"
    with loaded(trained, base=base_folder(context), device=profile.hardware.device, merged=True) as model:
        model.save_pretrained(whole)
    load_tokenizer(trained).save_pretrained(whole)

    held_out = take_evenly(
        read_examples(context.artifact("data").path).filter(pl.col("split") == "validation"),
        profile.export.check_examples,
    )
    steps = 1 + len(profile.export.gptq)
    context.progress(1, steps)
    copies: list[QuantizedCopy] = []
    if profile.export.gptq:
        answers = _answers(profile, whole, held_out)
        calibration = accepted_conversations(context.artifact("label").path)
        calibration = calibration[:: max(1, len(calibration) // profile.export.calibration_examples)]
        for number, wanted in enumerate(profile.export.gptq, start=2):
            target = output / f"gptq-w{wanted.bits}"
            gptq(whole, target, wanted, calibration[: profile.export.calibration_examples], profile.seed)
            copy = _measured(profile, whole, target, wanted, held_out, answers)
            copies.append(copy)
            if not copy.accepted:
                shutil.rmtree(target)
            context.progress(number, steps, {"kl": copy.kl})
            print(f"{copy.name}: {'accepted' if copy.accepted else 'rejected'}: {copy.reason}", flush=True)
    write_copies(copies, output)


def _measured(
    profile: Profile, whole: Path, target: Path, wanted: Gptq, held_out: pl.DataFrame, answers: list[str]
) -> QuantizedCopy:
    device = profile.hardware.device
    with loaded(whole, device=device) as full, loaded(target, device=device) as copy:
        kl = mean_divergence(
            full, copy, load_tokenizer(whole), held_out["prompt"].to_list(), answers, profile.evaluate.batch_size
        )
    return judge_copy(
        target.name,
        wanted,
        kl,
        answers=_answers(profile, target, held_out),
        answers_of_full=answers,
        outcome=held_out["outcome"].to_numpy(),
    )


def _answers(profile: Profile, folder: Path, examples: pl.DataFrame) -> list[str]:
    with loaded(folder, device=profile.hardware.device, attention=profile.model.attention) as model:
        sampled = generate(
            model,
            load_tokenizer(folder),
            examples["prompt"].to_list(),
            batch_size=profile.evaluate.batch_size,
            max_new_tokens=profile.evaluate.max_new_tokens,
        )
    return [answers[0] for answers in sampled]
