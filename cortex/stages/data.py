"""data: builds the domain's examples, whose questions hold nothing of their truth, and audits them."""

import tempfile
from pathlib import Path

from loguru import logger

from cortex.auditing.audit import QUICK, Audited, audit_dataset
from cortex.auditing.audit_record import write_audit
from cortex.domains.build_progress import progress_lines
from cortex.domains.dataset import write_dataset
from cortex.domains.dataset_description import read_description
from cortex.domains.domain import Workspace
from cortex.domains.mix_words import mix_lines
from cortex.runs.context import RunContext
from cortex.settings import Settings
from cortex.stages.base_check import check_base_folder


def run(context: RunContext, output: Path) -> None:
    settings, profile = Settings(), context.profile
    check_base_folder(context, settings)  # this stage is the run's first
    write_dataset(profile.domain, profile.seed, settings, output, progress_lines(logger.info))
    for line in mix_lines(read_description(output).get("mixing", {})):
        logger.info(line)
    with tempfile.TemporaryDirectory(dir=output, prefix=".scratch-") as scratch:
        audit = audit_dataset(output, Audited(profile.domain, profile.seed, settings), QUICK, Workspace(Path(scratch)))
    for finding in audit.findings:
        logger.warning(f"audit: {finding}")
    write_audit(audit, output)
