"""grpo: TRL samples answers to training prompts and reinforces those that the outcomes reward."""

from pathlib import Path

from cortex.runs.context import RunContext
from cortex.runs.learned_reward import VALIDATIONS
from cortex.runs.stage_list import scorer
from cortex.stages.judged_training import train_on_answers


def run(context: RunContext, output: Path) -> None:
    found = context.folder("grpo") / VALIDATIONS
    learned = str(context.artifact("reward_model").path / "model") if scorer(context.profile) else None
    train_on_answers(context, "grpo", output, {"reward_model": learned, "validations": str(found)})
    if context.leads:
        found.rename(output / VALIDATIONS)
