"""The comparison of a teacher's tokenizer with its student's."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cortex.bases.same_tokenizer import read_compared, require_same_tokenizer
from cortex.errors import ConfigError

VOCABULARY = {"a": 0, "b": 1, "ab": 2}


def files(model: Any = None, added: Any = (), size: int = 4, **config: Any) -> dict[str, bytes]:
    tokenizer = {"model": {"vocab": VOCABULARY} if model is None else model, "added_tokens": list(added)}
    return {
        "tokenizer.json": json.dumps(tokenizer).encode(),
        "config.json": json.dumps({"vocab_size": size, **config}).encode(),
    }


def compare(teacher: dict[str, bytes], student: dict[str, bytes]) -> None:
    require_same_tokenizer(teacher, student, "distill.teacher.base a/b", "model.base c/d")


def test_tokens_with_the_same_numbers_are_the_same_however_they_are_written() -> None:
    end = {"content": "<end>", "id": 3}
    other_order = {"vocab": dict(reversed(VOCABULARY.items())), "merges": ["a b"]}
    compare(files(other_order, [end]), files({"vocab": VOCABULARY, "merges": [["a", "b"]]}, [{**end, "special": True}]))
    compare(files({"vocab": [["a", -1.0], ["b", -2.0], ["ab", -3.0]]}), files())
    compare(files(), {**files(), "config.json": json.dumps({"text_config": {"vocab_size": 4}}).encode()})


@pytest.mark.parametrize(
    ("teacher", "refusal"),
    [
        (
            files({"vocab": {"a": 1, "b": 0, "ab": 2}}),
            "another tokenizer than model.base c/d: token 'b' is 0 there, and is 1",
        ),
        (
            files({"vocab": {"a": 0, "b": 1}}),
            "token 'ab' is missing there, and is 2 in the student's: take a teacher of",
        ),
        (files(added=[{"content": "<end>", "id": 3}]), "token '<end>' is 3 there, and is missing in the student's"),
        (files(size=16), "has a table of 16 tokens, and model.base c/d one of 4 (vocab_size in config.json)"),
        (files([]), "distill.teacher.base a/b: its tokenizer.json has no vocabulary: copy it again"),
        ({"config.json": b"{}"}, "distill.teacher.base a/b has no tokenizer.json: name a model that has one"),
        ({**files(), "config.json": b"["}, "distill.teacher.base a/b: its config.json is no JSON"),
        ({**files(), "tokenizer.json": b"[]"}, "its tokenizer.json holds no JSON object"),
    ],
)
def test_other_tokenizers_are_refused_in_one_line(teacher: dict[str, bytes], refusal: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(refusal)) as caught:
        compare(teacher, files())
    assert "\n" not in str(caught.value)


def test_a_folder_without_the_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    with pytest.raises(ConfigError, match=r"model\.base x has no config\.json and tokenizer\.json that can be read"):
        read_compared(tmp_path, "model.base x")
