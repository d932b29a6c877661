"""Comparison of a teacher's tokenizer with its student's: each token must be the same number to both."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from cortex.bases.base_rules import CONFIG, READ, TOKENIZER
from cortex.errors import ConfigError
from cortex.limits import TooLargeError, read_file, read_json

COMPARED = (CONFIG, TOKENIZER)
"""The files of both models that are compared."""


def read_compared(folder: Path, what: str) -> dict[str, bytes]:
    """The files of a model's folder that are compared.

    Raises:
        ConfigError: one is missing, or cannot be read.
    """
    try:
        return {name: read_file((folder / name).resolve(), READ[name]) for name in COMPARED}
    except (OSError, TooLargeError) as error:
        raise ConfigError(
            f"{what} has no {' and '.join(COMPARED)} that can be read ({error}): copy it again"
        ) from error


def require_same_tokenizer(
    teacher: Mapping[str, bytes], student: Mapping[str, bytes], teacher_name: str, student_name: str
) -> None:
    """Return if distillation can compare the two models' probabilities token by token.

    Both arguments have the contents of `COMPARED`. The models may split text differently, since only the student does.

    Raises:
        ConfigError: a token has another number, or their tables of tokens have other sizes.
    """
    theirs, ours = _tokens(teacher, teacher_name), _tokens(student, student_name)
    fix = "take a teacher of the student's own family"
    tokens = theirs.keys() | ours.keys()
    for token in sorted(tokens, key=lambda token: (theirs.get(token, ours.get(token, 0)), token)):
        if theirs.get(token) != ours.get(token):
            there, here = (f"is {found[token]}" if token in found else "is missing" for found in (theirs, ours))
            raise ConfigError(
                f"{teacher_name} has another tokenizer than {student_name}: token {token!a} {there} there, and {here} "
                f"in the student's: {fix}"
            )
    sizes = [_table(files, name) for files, name in ((teacher, teacher_name), (student, student_name))]
    if sizes[0] != sizes[1]:
        raise ConfigError(
            f"{teacher_name} has a table of {sizes[0]} tokens, and {student_name} one of {sizes[1]} (vocab_size in "
            f"{CONFIG}), though their tokenizers are the same: {fix}"
        )


def _tokens(files: Mapping[str, bytes], name: str) -> dict[str, int]:
    """Every token with its number."""
    held = _read(files, TOKENIZER, name)
    model: Any = held.get("model")
    given: Any = cast(dict[str, Any], model).get("vocab") if isinstance(model, dict) else None
    if isinstance(given, list):  # Unigram lists pieces with their scores
        given = {str(piece[0]): number for number, piece in enumerate(cast(list[Any], given))}
    if not isinstance(given, dict):
        raise ConfigError(f"{name}: its {TOKENIZER} has no vocabulary: copy it again")
    added: Any = held.get("added_tokens") or []
    return {**cast(dict[str, int], given), **{str(one["content"]): int(one["id"]) for one in added}}


def _table(files: Mapping[str, bytes], name: str) -> int | None:
    config = _read(files, CONFIG, name)
    inner: Any = config.get("text_config")
    return (cast(dict[str, Any], inner) if isinstance(inner, dict) else config).get("vocab_size")


def _read(files: Mapping[str, bytes], file: str, name: str) -> dict[str, Any]:
    if file not in files:
        raise ConfigError(f"{name} has no {file}: name a model that has one")
    try:
        found: Any = read_json(files[file], nan=True)
    except ValueError as error:
        raise ConfigError(f"{name}: its {file} is no JSON ({error}): copy it again") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{name}: its {file} holds no JSON object: copy it again")
    return cast(dict[str, Any], found)
