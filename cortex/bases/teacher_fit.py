"""Early check of a profile's teacher for distillation: it has the student's tokenizer, as far as both are at hand."""

from collections.abc import Mapping
from pathlib import Path

from cortex.bases.base_folder import is_folder, is_here
from cortex.bases.base_hub import read_hub_files
from cortex.bases.same_tokenizer import COMPARED, read_compared, require_same_tokenizer
from cortex.bases.teacher_model import naming_the_teacher
from cortex.profiles.profile import Profile


def check_teacher(profile: Profile, environment: Mapping[str, str], seconds: float) -> str:
    """Compare the tokenizers of a profile's model and of its teacher, and say what was found.

    A hub gets `seconds` for the files of each model. The profile has a `distill` section.

    Raises:
        ConfigError: they differ, or one of the models has no such files.
        HubSilentError: the hub does not answer.
    """
    distill = profile.distill
    assert distill is not None
    name, teacher, model = distill.teacher.name, distill.teacher, profile.model
    if teacher.run:
        return f"{name} is looked at when `distill` starts"
    if model.base is None:
        return f"{name} is compared with the model that `sft` builds when `distill` starts"
    with naming_the_teacher():
        theirs = _compared(str(teacher.base), teacher.revision, name, environment, seconds)
    own = f"model.base {model.base}"
    ours = _compared(model.base, model.revision, own, environment, seconds)
    if theirs is None or ours is None:
        return f"{name if theirs is None else own} is a folder that is not on this machine: `distill` looks at it"
    require_same_tokenizer(theirs, ours, name, own)
    return f"{name} has the tokenizer of {own}"


def _compared(
    base: str, revision: str | None, name: str, environment: Mapping[str, str], seconds: float
) -> Mapping[str, bytes] | None:
    """A model's files to compare; None for a folder that is not on this machine."""
    if not is_folder(base):
        return read_hub_files(base, revision, COMPARED, environment, seconds)
    return read_compared(Path(base).expanduser(), name) if is_here(base) else None
