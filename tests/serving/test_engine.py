"""The supervisor of an engine goes on where a disk is full for a while, and does not fill it."""

import os
import sys
from pathlib import Path

import pytest

from cortex.serving.engine import Engine, EngineCommand, free_port
from cortex.serving.engine_log import LOG_BYTES, last_error
from tests.serving.conftest import until

pytestmark = pytest.mark.integration


def test_an_engine_whose_log_cannot_be_written_is_started_later(tmp_path: Path) -> None:
    log = tmp_path / "later" / "engine.log"
    command = EngineCommand((sys.executable, "-c", "print('began', flush=True)"), dict(os.environ))
    engine = Engine("tiny", command, free_port(), log, busy=lambda: 0)
    engine.start()
    try:
        until(lambda: engine.starts == 1, "a first try")
        assert not engine.ready
        log.parent.mkdir()
        until(lambda: log.exists() and "began" in log.read_text(encoding="utf-8"), "a second one", 30)
    finally:
        engine.stop()


def test_an_engine_that_prints_much_does_not_fill_the_disk(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    program = (
        f"for _ in range({LOG_BYTES // 50}): print('x' * 99)\nprint('end', flush=True)\nimport time\ntime.sleep(60)"
    )
    command = EngineCommand((sys.executable, "-c", program), dict(os.environ))
    engine = Engine("tiny", command, free_port(), log, busy=lambda: 0)
    engine.start()
    try:
        until(lambda: log.exists() and last_error(log) == "end", "all that it prints")
        until(lambda: log.stat().st_size < LOG_BYTES, "the cut")
        assert last_error(log) == "end"
    finally:
        engine.stop()
