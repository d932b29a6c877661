"""Words banned from samples: their ways of writing, and their tokens."""

from cortex.models.bad_words import banned_tokens, spellings


class Letters:
    """A tokenizer of one token a character."""

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        assert not add_special_tokens
        return {"input_ids": [ord(letter) for letter in text]}


def test_each_way_to_write_a_word_is_banned_alone_and_after_a_blank() -> None:
    assert spellings(["shut Up"]) == ["shut Up", "shut up", "Shut up", "SHUT UP"]
    rows = banned_tokens(["no"], Letters())
    assert rows is not None
    texts = ["".join(map(chr, row)) for row in rows]
    assert sorted(texts) == sorted([way for word in ("no", "No", "NO") for way in (word, f" {word}")])
    assert banned_tokens([], Letters()) is None
