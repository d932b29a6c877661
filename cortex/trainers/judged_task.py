"""The task of a trainer whose answers a domain judges."""

import os
from pathlib import Path
from typing import Any

from cortex.domains.domain import Domain
from cortex.domains.mixture import read_described
from cortex.teaching.labels import read_labels
from cortex.tracking.samples import SampleWriter
from cortex.trainers.trl_task import TrlTask


class JudgedTask(TrlTask):
    """The task of a trainer that samples answers. The dataset has `prompt` (a conversation), `example_id` and `truth`
    (JSON)."""

    domain: dict[str, Any]
    """The profile's section."""
    labels: str
    """The file of accepted labels, whose words the domain may use to grade."""
    samples: str | None = None
    """Folder for a few sampled answers; None stores none."""
    sample_count: int = 0
    sample_steps: int = 1

    def judge(self) -> Domain:
        """The domain that judges answers."""
        return read_described(self.domain).with_labels(read_labels(Path(self.labels)))

    def sample_writer(self) -> SampleWriter | None:
        """The writer of sampled answers, of the first process alone."""
        first = os.environ.get("RANK", "0") == "0"
        return SampleWriter(Path(self.samples), self.sample_count) if self.samples and first else None
