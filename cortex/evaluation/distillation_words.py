"""Prompt distillation in words, for the page, the card and the command line."""

from collections.abc import Callable, Iterator

from cortex.evaluation.record import DistilledContender, Evaluation, label


def distillation_rows(evaluation: Evaluation) -> Iterator[tuple[str, DistilledContender]]:
    """Each contender's name in words, and its figures."""
    found = evaluation.distillation
    for each in found.contenders if found else ():
        yield f"{label(each.name)}, {'with the long prompt' if each.prompted else 'without it'}", each


def distillation_sentences(evaluation: Evaluation, escape: Callable[[str], str] = str) -> Iterator[str]:
    """Sentences on how well the prompt was distilled, and what that saves; none where the teacher had no prompt."""
    found = evaluation.distillation
    if found is None:
        return
    student, teacher, *_ = found.contenders
    loss, interval = evaluation.words.loss, found.difference_interval
    missing = f"; {found.unanswered} of them have no answer of the teacher" if found.unanswered else ""
    yield escape(
        f"The teacher was given a prompt that the student {label(student.name)} has never seen, in training or here. "
        f"On {found.examples:,} test questions of {found.clusters:,} {evaluation.words.clusters}{missing}, the {loss} "
        f"of the student without it is {student.loss:.4f} ({student.loss_interval.low:.4f} to "
        f"{student.loss_interval.high:.4f}), that of the teacher with it {teacher.loss:.4f} "
        f"({teacher.loss_interval.low:.4f} to {teacher.loss_interval.high:.4f}): the teacher's less the student's is "
        f"{found.difference:+z.4f} ({interval.low:+z.4f} to {interval.high:+z.4f})."
    )
    yield escape(
        f"Each request is {found.tokens_saved:,} tokens shorter than with the prompt, by the student's tokenizer"
        f"{_dollars(evaluation)}. cortex breakeven --system-prompt {found.tokens_saved} says when that pays for the "
        "training."
    )


def _dollars(evaluation: Evaluation) -> str:
    found = evaluation.distillation
    if found is None or found.dollars_saved is None:
        return "; the profile names no price of the teacher's tokens"
    cached = found.dollars_saved_cached
    less = "" if cached is None else f", or ${cached:,.2f} where the provider has the prompt in its cache"
    return f": ${found.dollars_saved:,.2f} for a million requests at the price of the teacher's input{less}"
