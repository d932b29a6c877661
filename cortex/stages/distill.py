"""distill: the model answers training prompts, and imitates a larger model's probabilities of each of its tokens."""

from pathlib import Path

from cortex.bases.same_tokenizer import read_compared, require_same_tokenizer
from cortex.bases.teacher_model import teacher_folder
from cortex.models.sampling import trained_base
from cortex.runs.context import RunContext
from cortex.stages.judged_training import train_on_answers


def run(context: RunContext, output: Path) -> None:
    distill = context.profile.distill
    assert distill is not None
    teacher, student = teacher_folder(context), Path(trained_base(context)[0])
    name, own = distill.teacher.name, f"model.base {context.profile.model.base or '(built from nothing)'}"
    require_same_tokenizer(read_compared(teacher, name), read_compared(student, own), name, own)
    train_on_answers(context, "distill", output, {"teacher": str(teacher)})
