import pytest

from tests.drawn_cases import draw_cases

CASES = ("a", "b", "c", "d")


def test_each_draw_is_repeated_by_its_seed_and_none_is_always_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CORTEX_FULL", raising=False)
    draws = list[list[str]]()
    for seed in range(30):
        monkeypatch.setenv("CORTEX_DRAW", str(seed))
        draws.append(draw_cases(CASES, 2))
        assert draw_cases(CASES, 2) == draws[-1] == sorted(set(draws[-1])) and len(draws[-1]) == 2
    assert {case for draw in draws for case in draw} == set(CASES)


def test_all_are_taken_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEX_FULL", "1")
    assert draw_cases(CASES, 2) == list(CASES)
