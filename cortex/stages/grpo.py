"""grpo: TRL samples answers to training prompts and reinforces those that the outcomes reward."""

from pathlib import Path

from cortex.runs.context import RunContext
from cortex.stages.judged_training import train_on_answers


def run(context: RunContext, output: Path) -> None:
    train_on_answers(context, "grpo", output)
