"""data: turns a market's history into examples, whose prompts hold nothing of their outcomes."""

from pathlib import Path

from cortex.dataset import write_dataset
from cortex.market.sources import open_source
from cortex.runs.context import RunContext
from cortex.settings import Settings
from cortex.stages.base_check import check_base_folder


def run(context: RunContext, output: Path) -> None:
    profile, settings = context.profile, Settings()
    check_base_folder(context, settings)  # this stage is the run's first
    source = open_source(profile.data, seed=profile.seed, flipside_api_key=settings.flipside_api_key)
    write_dataset(source, profile.data, profile.style, output)
