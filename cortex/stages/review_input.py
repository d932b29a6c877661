"""The decisions of people as an input of the labels, and of all that is made of these."""

from cortex.artifacts.manifest import Manifest
from cortex.errors import DataError
from cortex.profiles.profile import Profile
from cortex.teaching.review.decisions import read_decisions

LABEL = "label"
REVIEW = "review"
"""Name of the decisions among the inputs of the labels' manifest."""


def review_input(stage: str, profile: Profile) -> dict[str, str]:
    """The digest of the decisions that `label` reads; empty for other stages, and for profiles without a review.

    Raises:
        DataError: the folder of decisions is not there, not sealed, or differs from its manifest.
    """
    folder = profile.teacher.review
    return {REVIEW: read_decisions(folder)[1]} if stage == LABEL and folder else {}


def require_same_review(run: str, profile: Profile, labels: Manifest) -> None:
    """Refuse to go on with labels for which people have decided otherwise in the meantime.

    Where the folder is not on this machine, nothing is compared.

    Raises:
        DataError: the decisions are others than those that the labels were made with, or cannot be read.
    """
    folder = profile.teacher.review
    if not folder or not folder.is_dir():
        return
    made_with, now = labels.inputs.get(REVIEW), read_decisions(folder)[1]
    if made_with != now:
        before = f"decisions {made_with[:12]}" if made_with else "none"
        raise DataError(
            f"teacher.review {folder} holds decisions {now[:12]}, and the labels of run {run} were made with {before}: "
            "start a new run, whose answers come from the cache, or restore the folder"
        )
