import pytest

from cortex.artifacts.file_names import check_key, check_name, check_names
from cortex.errors import VerificationError

HOSTILE = [
    "",
    "/etc/passwd",
    "../x",
    "a/../../x",
    "a/./b",
    "a//b",
    "a/",
    ".",
    "a\\b",
    "C:\\x",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "n" * 300,
    "é" * 128,
    "/".join(["part"] * 200),
    "bad\udcff",
    "model/\u202egnp.exe",
    "a\u2028b",
    "zero\u200bwidth",
    "a\u00a0b",
    "z" + "\u0301" * 9,
    "\u3164",
    "a.",
    "a /b",
    "dir./b",
    "NUL",
    "con.txt",
    "x/aux .tar.gz",
    "com¹",
    "LPT9",
    "a:b",
    "what?",
    "/".join(["d"] * 33),
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_are_refused(name: str) -> None:
    with pytest.raises(VerificationError) as caught:
        check_name(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "model-00001-of-00004.safetensors",
        "tokenizer/vocab é.json",
        "..a",
        "n" * 255,
        "console.txt",
        "nul-1",
        "a b.c",
    ],
)
def test_ordinary_names_pass_unchanged(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "names",
    [
        ["a", "a"],
        ["README.md", "readme.md"],
        ["caf\u00e9", "cafe\u0301"],
        ["a", "a/b"],
        ["x/A/y", "x/a"],
        ["ok", "manifest.json"],
        ["model.sig"],
        ["Manifest.json"],
        ["MODEL.SIG"],
        ["manifest.JSON.part"],
        ["e\u0301/a", "\u00e9/a"],
    ],
)
def test_names_that_collide_are_refused(names: list[str]) -> None:
    with pytest.raises(VerificationError):
        check_names(names)


def test_the_longest_name_still_fits_into_a_key() -> None:
    name = "/".join(["n" * 212] * 3)
    assert check_key(f"runs/{'r' * 100}/{'s' * 200}/{check_name(name)}")
    with pytest.raises(VerificationError, match="too long"):
        check_name(name + "/more")
    with pytest.raises(VerificationError, match="too long"):
        check_key("/".join(["n" * 255] * 5))


def test_kept_names_are_free_below_the_top() -> None:
    check_names(["inner/manifest.json", "a/b", "ab"])
