"""Feedback in a domain's section of a profile: the dataset to learn from, beside the domain's own source."""

from pathlib import Path

from pydantic import Field

from cortex.section import NameOrFolder, Section


class Feedback(Section):
    """A dataset of feedback."""

    dataset: NameOrFolder = Field(min_length=1, max_length=4000)
    """The folder that `cortex feedback build` wrote, or the name under which it published the dataset in the bucket."""
    manifest: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Digest of the dataset's manifest: any other dataset is refused. Default: the dataset as it is there."""
    test: bool = False
    """Judge the model on the dataset's test questions, too. By default only its training questions are used."""

    @property
    def folder(self) -> Path | None:
        """The folder on this machine; None for a name in the bucket: `./november` is a folder, `november` a name."""
        return Path(self.dataset).absolute() if self.dataset.startswith(("/", ".")) else None


def read_feedback(value: object) -> object:
    """A folder or a name alone as the mapping that it stands for; anything else is returned unchanged."""
    return {"dataset": value} if isinstance(value, str) else value
