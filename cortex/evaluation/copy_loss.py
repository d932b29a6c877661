"""Rise of the loss in a released copy of the judged model, and the threshold for a warning."""

from collections.abc import Iterable
from dataclasses import dataclass

from cortex.evaluation.confidence import Interval
from cortex.evaluation.record import Evaluation, label

LEAST_FALL = 0.05
"""Fall of the share of readable answers from which on there is a warning. Unreadable answers count as the reference's,
so a copy that has forgotten how to answer may score like a careful one."""


@dataclass(frozen=True)
class CopyLoss:
    """A quantized copy compared with the model that it was made of, on the same examples."""

    name: str
    model: str
    """The judged model's name."""
    loss_name: str
    """The domain's word for the loss."""
    loss: float
    rise: float
    """The copy's loss less the model's: above 0 it does worse."""
    interval: Interval
    """The 95% interval of the rise."""
    valid_share: float
    """Share of answers that can be read."""
    model_valid_share: float

    @property
    def words(self) -> str:
        """The figures in one line."""
        return (
            f"{self.loss_name} {self.loss:.4f}, {self.rise:+z.4f} on {label(self.model)}'s "
            f"({self.interval.low:+z.4f} to {self.interval.high:+z.4f}); {self.valid_share:.1%} of answers readable"
        )

    @property
    def warning(self) -> str | None:
        """Reason not to use the copy in the model's place; None where there is none."""
        faults: list[str] = []
        if self.interval.low > 0:
            faults.append(
                f"its {self.loss_name} is {self.rise:.4f} higher than that of {label(self.model)} "
                f"(95% interval {self.interval.low:+z.4f} to {self.interval.high:+z.4f})"
            )
        if self.model_valid_share - self.valid_share >= LEAST_FALL:
            whole = f"{label(self.model)}'s {self.model_valid_share:.1%}"
            faults.append(f"{self.valid_share:.1%} of its answers can be read, of {whole}")
        if not faults:
            return None
        return (
            f"{label(self.name)} is worse than what it was made of: {', and '.join(faults)}. Use the weights in full."
        )


def copy_losses(evaluation: Evaluation) -> list[CopyLoss]:
    """The loss of each quantized copy; weights that were not judged beside the model are left out."""
    return list(_losses(evaluation))


def _losses(evaluation: Evaluation) -> Iterable[CopyLoss]:
    judged = evaluation.verdict.model
    compared = {(one.first, one.second): one for one in evaluation.comparisons}
    for weights in evaluation.derived:
        comparison = compared.get((weights.name, judged))
        if comparison:
            copy, interval = evaluation.models[weights.name], comparison.interval
            yield CopyLoss(
                name=weights.name,
                model=judged,
                loss_name=evaluation.words.loss,
                loss=copy.loss,
                rise=-comparison.difference,
                interval=Interval(low=-interval.high, high=-interval.low),
                valid_share=copy.valid_share,
                model_valid_share=evaluation.models[judged].valid_share,
            )
