import os
import subprocess
import sys

import pytest

from cortex.settings import CHECKOUT
from tests.conftest import DRAWN
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


@pytest.mark.integration
@pytest.mark.parametrize("variables", [{}, {"CORTEX_DRAW": "3"}, {"CORTEX_DRAW": "3", "CORTEX_FULL": "1"}])
def test_the_checks_draw_some_tests_of_a_group_and_whoever_names_them_runs_all(variables: dict[str, str]) -> None:
    others = {name: value for name, value in os.environ.items() if name not in ("CORTEX_DRAW", "CORTEX_FULL")}
    files = [f"tests/rehearsal/test_{name}.py" for name in ("new_domain", "several_domains", "gym")]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(
        command, cwd=CHECKOUT, env=others | variables, capture_output=True, text=True, check=True, timeout=60
    )
    collected = [line for line in done.stdout.splitlines() if line.startswith("tests/")]
    if variables == {"CORTEX_DRAW": "3"}:
        assert len(collected) == DRAWN["runs"], done.stdout
    else:
        assert len({line.partition("[")[0] for line in collected}) == 5, done.stdout
