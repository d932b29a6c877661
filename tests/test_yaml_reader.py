from pathlib import Path

import pytest

from cortex.errors import ConfigError
from cortex.yaml_reader import LARGEST_FILE, read_yaml, read_yaml_documents

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 12)
)
MERGES = "a0: &a0 {k: v}\n" + "".join(
    f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 10)}], k{level}: v}}\n" for level in range(1, 12)
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: 'a' is given twice, first in line 1: keep one"),
        ("a: 1\n'a': 3", "line 2: 'a' is given twice"),
        ("deep:\n  - x: {k: 1,\n      k: 2}", "line 3: 'k' is given twice, first in line 2"),
        ("1: a\ntrue: b", "line 2: 'true' is given twice, first in line 1"),  # equal keys to Python: one would vanish
        ("x: &x {a: 1}\ny: {<<: *x, <<: *x}", "line 2: '<<' is given twice"),
        ("? [a]\n: 1", "line 1: a list or a mapping stands as a key"),
        ("a: 1:30", "'1:30' is read as 90 or as a text: write 90, or \"1:30\""),
        ("a: 012", "'012' is read as 10 or as a text"),
        ("a: -010", "'-010' is read as -8 or as a text"),
        ("a: 1_000", "'1_000' is read as 1000 or as a text"),
        ("a: 0b11", "'0b11' is read as 3 or as a text"),
        ("a: 190:20:30.15", "is read as 685230.15 or as a text"),
        ("a: No", "'No' is read as false or as a text: write false, or \"No\""),
        ("on: x", "'on' is read as true or as a text"),
        ("a: .nan", "'.nan' is no finite number"),
        ("a: -.INF", "'-.INF' is no finite number"),
        ("a: !!int word", "'word' cannot be read as int"),
        ("a: !!float ''", "'' cannot be read as float"),
        ("a: " + "1" * 5000, "cannot be read as int"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("a: !!binary aGk=", "could not determine a constructor"),
        (LAUGHS, "stands for more than 100,000 values"),
        (MERGES, "stands for more than 100,000 values"),
        ("a: &a [*a]", "an alias stands within what it names"),
        ("[" * 5000, "is nested too deeply"),
        ("a: [", "is not YAML: line 1"),
        ("\0", "is not YAML"),
        ("a: 1\n---\nb: 2", "holds 2 documents"),
        ("#" * (LARGEST_FILE + 1), "is larger than"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_a_line(text: str, fault: str, file: Path) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        read_yaml(file)
    assert str(raised.value).startswith(str(file)) and fault in str(raised.value) and "\n" not in str(raised.value)


def test_what_is_clear_is_read(file: Path) -> None:
    file.write_text(
        "\ufeffbase: &base {a: 1, b: x}\nmore: {<<: *base, a: 2}\nlist: [*base, ~, true, 0x1F, -1.5, 08, '012']\n"
        "day: 2020-01-01\nrate: 1e-5\nhash: 12345e10\n",
        encoding="utf-8",
    )
    read = read_yaml(file)
    assert read["more"] == {"a": 2, "b": "x"}
    assert read["list"] == [{"a": 1, "b": "x"}, None, True, 31, -1.5, "08", "012"]
    assert (read["day"], read["rate"], read["hash"]) == ("2020-01-01", "1e-5", "12345e10")
    assert read_yaml(file, exponents=True)["rate"] == 1e-5
    file.write_text("a: 1\n---\n- b\n---\n", encoding="utf-8")
    assert read_yaml_documents(file) == [{"a": 1}, ["b"], None]
