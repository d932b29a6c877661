"""data: builds the domain's examples, whose questions hold nothing of their truth."""

from pathlib import Path

from loguru import logger

from cortex.domains.build_progress import progress_lines
from cortex.domains.dataset import write_dataset
from cortex.domains.dataset_description import read_description
from cortex.domains.mix_words import mix_lines
from cortex.runs.context import RunContext
from cortex.settings import Settings
from cortex.stages.base_check import check_base_folder


def run(context: RunContext, output: Path) -> None:
    settings = Settings()
    check_base_folder(context, settings)  # this stage is the run's first
    write_dataset(context.profile.domain, context.profile.seed, settings, output, progress_lines(logger.info))
    for line in mix_lines(read_description(output).get("mixing", {})):
        logger.info(line)
