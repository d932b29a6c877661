"""dpo: judges answers, of the data or sampled from the SFT model, and trains the model to prefer the better ones."""

from pathlib import Path

from cortex.runs.context import RunContext
from cortex.stages.judged_answers import judged_rows
from cortex.stages.preference_pairs import pair_rows
from cortex.stages.training_rows import rows_file
from cortex.trainers.held_out import hold_out
from cortex.trainers.trl_stage import train_with_trl

PAIRS, JUDGED = "pairs.jsonl", "judged.jsonl"


def run(context: RunContext, output: Path) -> None:
    dpo = context.profile.dpo
    assert dpo is not None
    if dpo.unpaired:
        file = rows_file(context, "dpo", JUDGED, lambda: judged_rows(context, dpo))
    else:
        file = rows_file(context, "dpo", PAIRS, lambda: pair_rows(context, dpo))
    dataset, validation = file, None
    if dpo.validate_steps:
        dataset, validation = hold_out(file, dpo.validation_examples, context.folder("dpo"), together="prompt")
    train_with_trl(context, "dpo", dataset=dataset, output=output / "model", validation=validation)
    file.rename(output / file.name)
