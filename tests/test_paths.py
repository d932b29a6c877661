import pytest

from cortex.paths import expand


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.delenv("NOT_SET", raising=False)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("~", "/home/me"),
        ("~/x", "/home/me/x"),
        ("$HOME/x", "/home/me/x"),
        ("${HOME}/x y", "/home/me/x y"),
        ("/data/~/x", "/data/~/x"),
        ("/data/5$", "/data/5$"),
        ("relative/x", "relative/x"),
    ],
)
def test_a_path_means_what_it_does_in_a_shell(written: str, meant: str) -> None:
    assert expand(written) == meant


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("$NOT_SET/x", r"\$NOT_SET, which is not set"),
        ("${NOT_SET}/x", r"\$\{NOT_SET\}, which is not set"),
        ("$EMPTY/x", r"\$EMPTY, which is not set"),
        ("${}/x", "which is not set"),
        ("~nobody-of-this-name/x", "home folder that is not known"),
        ("", "is no path"),
        ("  ", "is no path"),
        ("a\0b", "what no path can"),
        ("a\ud800", "what no path can"),
    ],
)
def test_a_path_that_cannot_be_meant_is_refused(written: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        expand(written)
