"""What a domain says of its models on their cards."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CardWords:
    """What a domain says of its models on their cards."""

    what: str
    """The rest of the sentence "A language model, tuned from ..., that "."""
    task: str
    """A name for the task, as the hub lists it."""
    dataset_type: str
    """A word for the kind of data, as the hub lists it."""
    tags: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    """Beside those that hold of every model."""
