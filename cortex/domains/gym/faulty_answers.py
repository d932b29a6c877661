"""The answers of a rehearsal's scripted teacher, which errs in one way.

A model that imitates a teacher of random errors already finds the right answer the likeliest, and GRPO has nothing left
to improve. One that imitates a habit makes the same error, which rewards can undo.
"""

import random


def teach(prompt: str, answer: str, seed: int, faults: float) -> str:
    """The right answer, or, for a share `faults` of the prompts, the one that a bad habit leads to."""
    return misled(answer) if random.Random(f"{seed} {prompt}").random() < faults else answer


def misled(answer: str) -> str:
    """The answer of a bad habit: whole numbers one too high, the last two parts of longer answers swapped.

    Parts are lines, else words, else letters. Short answers stay right.
    """
    if answer.removeprefix("-").isdecimal():
        return str(int(answer) + 1)
    for parts, between in ((answer.split("\n"), "\n"), (answer.split(" "), " ")):
        if len(parts) > 1:
            return between.join([*parts[:-2], parts[-1], parts[-2]])
    return answer[:-2] + answer[-1] + answer[-2] if len(answer) >= 5 else answer
