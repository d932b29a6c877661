"""The kit's errors show what they quote of others on one line, with every hidden character written out."""

import pytest

from cortex.errors import CortexError, DataError


@pytest.mark.parametrize(
    ("quoted", "shown"),
    [
        ("two\nlines", "two lines"),
        ("'\t' expected", "' ' expected"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\u202eback to front", "\\u202eback to front"),
        ("cafés", "cafés"),
    ],
)
def test_a_message_is_one_line_without_hidden_characters(quoted: str, shown: str) -> None:
    error = DataError(f"a.csv: line 2: {quoted}")
    assert isinstance(error, CortexError) and str(error) == f"a.csv: line 2: {shown}"
    assert f"{error}" == str(error)
