"""A domain's texts for the cards of its models."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CardWords:
    """A domain's texts for the cards of its models."""

    what: str
    """The rest of the sentence "A language model, tuned from ..., that "."""
    task: str
    """A name for the task, as the hub lists it."""
    dataset_type: str
    """A word for the kind of data, as the hub lists it."""
    tags: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    """Limits besides those of every model."""
