from typing import Any

import pytest

from cortex.training.events import emit, parse


@pytest.mark.parametrize(
    "values", [{"step": 3}, {"step": 1, "total": 9, "loss": 0.25}, {"reason": "a line\nwith an end, and ::trainer "}]
)
def test_what_is_said_is_heard(values: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    emit("progress", **values)
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert parse(line) == ("", {"event": "progress", **values})


def test_a_progress_bar_may_stand_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    emit("step", step=3)
    assert parse(" 30%|###\r" + capsys.readouterr().out) == (" 30%|###\r", {"event": "step", "step": 3})


@pytest.mark.parametrize(
    "line", ["", "loss 0.25\n", "::trainer", '::trainer {"event": "st\n', "::trainer half a line\n"]
)
def test_any_other_line_is_the_trainers_own(line: str) -> None:
    assert parse(line) == (line, None)
