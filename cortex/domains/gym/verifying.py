"""The score of an answer by its task's own verifier."""

import contextlib
import io
import re
import warnings
from collections.abc import Mapping

from cortex.domains.gym.generators import Address, entry_at
from cortex.domains.gym.refused_tasks import EVALUATED, FUNCTIONS
from cortex.domains.gym.task_config import Task
from cortex.errors import DataError

LONGEST = 4000
"""Characters of the longest answer that is verified, unless the true one is longer."""

_ATTRIBUTE = re.compile(r"\.\s*[A-Za-z_]|__")
_POWER = re.compile(r"\*\*\s*\(?\s*-?\s*(\d{3,}|\S+\s*\*\*)")
"""An exponent of three digits, or one that is a power itself: a verifier would compute it for hours."""


def verify(tasks: Mapping[str, Task], example_id: str, truth: object, answer: str) -> float:
    """The score from 0 to 1 that the verifier gives; 0 where it fails at the answer.

    Verifiers give full marks to any answer that is right, parts of them to some that are not, and some of them 0.01 to
    anything.

    Raises:
        DataError: the example was made by another generator than this one.
    """
    address = Address.read(example_id)
    made_by, entry = entry_at(tasks, address)
    if entry["answer"] != truth:
        raise DataError(
            f"example {example_id!r} was made with another config of domain.tasks.{address.task}, or by another "
            "version of reasoning-gym: build the examples anew"
        )
    if not _harmless(address.task, answer, str(truth)):
        return 0.0
    # Verifiers of matrices warn, and some print, about replies that they cannot read.
    with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
        try:
            return min(1.0, max(0.0, float(made_by.score_answer(answer, entry))))
        except Exception:  # a verifier may fail in any way at a reply of another form
            return 0.0


def _harmless(task: str, answer: str, truth: str) -> bool:
    if len(answer) > max(LONGEST, 2 * len(truth)):
        return False
    if task not in EVALUATED:
        return True
    if not re.fullmatch(EVALUATED[task], answer) or _ATTRIBUTE.search(answer) or _POWER.search(answer):
        return False
    names = re.findall(r"[^\W\d]\w*", answer)
    return "(" not in answer or all(len(name) == 1 or re.fullmatch(FUNCTIONS, name) for name in names)
