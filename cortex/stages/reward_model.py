"""reward_model: trains a model to score answers, on pairs of a better and a worse one, and says how often it is right.

Its scores may be GRPO's reward (`grpo.reward`). It stays in the run's folder: no release holds it.
"""

import json
from pathlib import Path

from loguru import logger

from cortex.evaluation.groups import wilson
from cortex.runs.context import RunContext
from cortex.runs.learned_reward import HELD_OUT, HeldOutPairs
from cortex.stages.preference_pairs import pair_rows
from cortex.stages.training_rows import rows_file
from cortex.trainers.held_out import hold_out
from cortex.trainers.trl_stage import train_with_trl

PAIRS = "pairs.jsonl"


def run(context: RunContext, output: Path) -> None:
    section, folder = context.profile.reward_model, context.folder("reward_model")
    assert section is not None
    file = rows_file(context, "reward_model", PAIRS, lambda: pair_rows(context, section))
    dataset, validation = hold_out(file, section.validation_examples, folder, together="prompt")
    counted = folder / "counted.json"
    train_with_trl(
        context,
        "reward_model",
        dataset=dataset,
        output=output / "model",
        validation=validation,
        further={"held_out": str(counted)},
    )
    file.rename(output / file.name)
    if context.leads:
        found = held_out_pairs(**json.loads(counted.read_text(encoding="utf-8")))
        (output / HELD_OUT).write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
        context.ledger.append("held_out_pairs", stage="reward_model", **found.model_dump())
        logger.info(f"reward_model: {found.words}")


def held_out_pairs(pairs: int, right: int) -> HeldOutPairs:
    """The share of held-out pairs whose better answer scores higher, with its 95% interval."""
    interval = wilson(right / pairs, pairs)
    return HeldOutPairs(pairs=pairs, right=right, low=interval.low, high=interval.high)
