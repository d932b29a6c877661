"""Rules by which a trainer validates, stops early, and chooses the weights to release.

All decisions follow from the trainer's own history, which every checkpoint holds: a training that was killed and
resumed decides as an undisturbed one.
"""

import math
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from cortex.checkpoints.misleading import misled
from cortex.profiles.trainer_sections import Collapse, Grpo, Optimization
from cortex.runs.learned_reward import Misled

RULES_VARIABLE = "CORTEX_TRAINING_RULES"
"""Environment variable that gives a trainer the rules, as JSON."""

EVAL = "eval_"
"""Prefix that the Hugging Face Trainer puts before the name of each validation metric."""

ANSWER_LOSS = "answer_loss"
"""Validation metric of a trainer that samples answers: their mean loss."""

History = Sequence[dict[str, Any]]
"""`TrainerState.log_history`: what was logged, in order, each with its `step`."""

_SIGNS = (
    ("frac_reward_zero_std", "max_groups_alike", 1, "of the groups have answers that were all paid alike"),
    ("completions/clipped_ratio", "max_truncated", 1, "of the answers are cut off at their longest"),
    ("entropy", "min_entropy", -1, "nats of entropy a token"),
    ("completions/mean_length", "min_length", -1, "tokens an answer"),
    ("kl", "max_kl", 1, "nats a token away from the SFT model"),
)
"""TRL's metric, the bound's name in `Collapse`, 1 where it bounds from above, and the metric in words."""


class TrainingRules(BaseModel):
    """The rules that a stage hands to its trainer's callback."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    validate_steps: int | None = None
    save_steps: int = 1
    patience: int | None = None
    metric: str = "eval_loss"
    """The metric that is lowest in the best validation."""
    collapse: Collapse | None = None
    validate_start: bool = False
    """True where a validation comes before the first step, too, to compare later ones with."""
    committed: str = ""
    """Folder of this machine's committed checkpoints, each in a folder named by its step."""

    @classmethod
    def of(cls, section: Optimization, committed: Path) -> "TrainingRules":
        """The rules that a profile's section asks for."""
        return cls(
            validate_steps=section.validate_steps,
            save_steps=section.save_steps,
            patience=section.patience,
            metric=f"{EVAL}{ANSWER_LOSS}" if section.judged else f"{EVAL}loss",
            collapse=section.signs(),
            validate_start=isinstance(section, Grpo) and section.reward == "reward_model",
            committed=str(committed),
        )

    @classmethod
    def given(cls) -> "TrainingRules":
        """The rules in this process's environment; none where there are none."""
        text = os.environ.get(RULES_VARIABLE)
        return cls.model_validate_json(text) if text else cls()

    def validates(self, step: int, last: int) -> bool:
        """True for a step followed by a validation: a step that is saved, or the last."""
        if self.validate_steps is None:
            return False
        if step >= last:
            return True
        before = step - self.save_steps
        return step % self.save_steps == 0 and step // self.validate_steps > before // self.validate_steps

    def validations(self, history: History) -> list[tuple[int, float]]:
        """Each validated step with its loss, in order; a NaN counts as infinite."""
        found = {int(entry["step"]): float(entry[self.metric]) for entry in history if self.metric in entry}
        return [(step, loss if math.isfinite(loss) else math.inf) for step, loss in sorted(found.items())]

    def ranked(self, history: History) -> list[tuple[int, float]]:
        """Validated steps, the best first; among equals the earlier, which moved less from the start."""
        finite = [(step, loss) for step, loss in self.validations(history) if math.isfinite(loss)]
        return sorted(finite, key=lambda pair: (pair[1], pair[0]))

    def out_of_patience(self, history: History) -> str | None:
        """Reason to stop early, by the validations, or None."""
        ranked = self.ranked(history)
        if self.patience is None or not ranked:
            return None
        best, loss = ranked[0]
        since = sum(step > best for step, _ in self.validations(history))
        if since < self.patience:
            return None
        name = self.metric.removeprefix(EVAL)
        return f"{since} validations without one better than that of step {best} ({name} {loss:.4f})"

    def misled(self, history: History) -> Misled | None:
        """The two validations between which the reward rose while the truth fell, or None."""
        if self.collapse is None or self.collapse.misled is None:
            return None
        return misled(history, self.collapse.misled)

    def collapsed(self, history: History) -> str | None:
        """Reason why training has collapsed, by the metrics of the newest steps, with the figures; or None."""
        if self.collapse is None:
            return None
        if found := self.misled(history):
            return f"{found.words} (collapse.misled {self.collapse.misled:g})"
        steps = [entry for entry in history if "loss" in entry][-self.collapse.window :]
        for metric, bound_name, above, words in _SIGNS:
            bound = getattr(self.collapse, bound_name)
            values = [float(entry[metric]) for entry in steps if entry.get(metric) is not None]
            if bound is None or len(values) < self.collapse.window:
                continue
            mean = statistics.fmean(values)
            if not math.isfinite(mean) or (mean - bound) * above > 0:
                return f"over the last {len(values)} steps, {mean:.3g} {words} (collapse.{bound_name} {bound:g})"
        return None
